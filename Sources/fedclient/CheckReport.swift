import Client
import Commands
import Datasets
import Foundation

/// What `fedclient check` says.
struct CheckReport: Encodable {
  let data: DataReport
  /// Of the plan; empty without one.
  let stages: [TrainingEstimate.Stage]
  /// Where the contact sheet is.
  let sheet: String?

  var table: String {
    var lines = [
      line("images", images),
      line("height", spread(data.height)), line("width", spread(data.width)),
      line(
        "classes",
        data.classes.isEmpty ? data.labelProblem.map { "none: \($0)" } ?? "none" : "\(data.classes.count)"),
    ]
    let longest = data.classes.map(\.name.count).max() ?? 0
    lines += data.classes.map {
      line("", $0.name + String(repeating: " ", count: longest - $0.name.count) + "  \($0.count)")
    }
    lines.append(line("broken", data.broken.isEmpty ? "none" : "\(data.broken.count), left out"))
    lines += data.broken.prefix(Self.named).map { line("", "\($0.path): \($0.reason)") }
    if data.broken.count > Self.named { lines.append(line("", "and \(data.broken.count - Self.named) more")) }
    if !data.passedOver.isEmpty {
      lines.append(
        line(
          "other",
          data.passedOver.map { "\($0.count) \($0.ending)" }.joined(separator: ", ") + ", passed over"))
    }
    if let sheet { lines.append(line("sheet", sheet)) }
    if !stages.isEmpty { lines += [""] + table(stages) }
    return lines.joined(separator: "\n")
  }

  /// What is wrong with fewer than two images.
  var tooFew: DatasetError {
    .tooFew(count: data.images, broken: data.broken.map { BrokenFile(path: $0.path, reason: $0.reason) })
  }

  private var images: String {
    let (grey, cmyk) = (
      data.grey > 0 ? "\(data.grey) of them grey" : nil, data.cmyk > 0 ? "\(data.cmyk) of them CMYK" : nil
    )
    return (["\(data.images)"] + [grey, cmyk].compactMap { $0 }).joined(separator: ", ")
  }

  /// Broken files that are named before the rest is counted.
  private static let named = 5

  private func line(_ name: String, _ value: String) -> String {
    name + String(repeating: " ", count: 10 - name.count) + value
  }

  private func spread(_ spread: DataReport.Spread) -> String {
    spread.min == spread.max
      ? "\(spread.min)" : "\(spread.min) to \(spread.max), \(spread.median) in the middle"
  }

  private func table(_ stages: [TrainingEstimate.Stage]) -> [String] {
    var lines = [row("stage", "rounds", "batch", "steps a round", "memory", "time a round")]
    for stage in stages {
      lines.append(
        row(
          "\(stage.stage)", "\(stage.rounds)", "\(stage.batch)", "\(stage.steps)",
          "\((stage.memoryBytes + 999_999) / 1_000_000) MB",
          stage.secondsPerRound.map { String(format: $0 < 10 ? "%.2f s" : "%.0f s", $0) } ?? "too large"))
    }
    let known = stages.compactMap { stage in stage.secondsPerRound.map { $0 * Double(stage.rounds) } }
    if known.count == stages.count {
      lines.append("all rounds: \(Terminal.clock(known.reduce(0, +))) of training on this machine")
    }
    return lines
  }

  private func row(_ cells: String...) -> String {
    zip(cells, [6, 8, 7, 15, 10, 14]).reduce("") {
      $0 + String(repeating: " ", count: max($1.1 - $1.0.count, 1)) + $1.0
    }
  }
}
