import Engine
import Foundation

/// An account as text for a terminal.
extension Account {
  package var table: String {
    var lines = summary + [""] + Self.heading("strategy")
    lines += strategies.map { row($0, name: name(of: $0)) }
    for strategy in [Strategy.layerWise, .progressive] {
      let part = growth.filter { $0.strategy == strategy }
      guard !part.isEmpty else { continue }
      lines += [""] + Self.heading("\(strategy.rawValue), layers")
      lines += part.map { row($0, name: Self.growthName(of: $0)) }
    }
    return (lines + ["", Self.legend]).joined(separator: "\n") + "\n"
  }

  private var summary: [String] {
    let calibration = calibration.map {
      switch $0 {
      case .round: ", calibrated every round"
      case .rounds(let interval): ", calibrated every \(interval) rounds"
      case .stage: ", calibrated every stage"
      }
    }
    return [
      "\(name): \(encoder.family.rawValue) of \(encoder.depth) blocks, \(ssl.rawValue), \(rounds) rounds of "
        + "\(localEpochs) epochs\(calibration ?? "")",
      "a client of \(images) images in batches of \(batch)",
    ]
  }

  private func name(of line: Line) -> String {
    line.strategy.rawValue + (line.calibration == calibration ? "" : ", calibrated")
  }

  private static func growthName(of line: Line) -> String {
    "\(line.layersPerStage)" + (line.activeBlocks > 0 ? ", \(line.activeBlocks) active" : "")
  }

  private static let legend = """
    *           the plan; calibrated: by the server, after every round
    x           how many times as much end-to-end training takes
    paper       LW-FedSSL's conventions: traffic down and up in MiB / 1000; 10^9 operations on one view of an
                image over all epochs, a multiply-accumulate being one
    software    weights that travel, in MB; 10^9 operations on an image over all epochs in both views and all
                branches, a multiply-accumulate being two; a trainer's memory in MB at its largest stage
    """

  /// The columns' widths, the first to the left.
  private static let (first, paper, planned) = (24, [8, 6, 7, 6], [9, 8, 6, 8, 6, 8, 7, 6])

  private static func heading(_ title: String) -> [String] {
    let gap = first + paper.reduce(0, +)
    return [
      left("", first + 2) + left("paper", gap - first) + "software",
      left(title, first) + right(["traffic", "x", "GFLOPs", "x"], paper)
        + right(["down", "up", "x", "GFLOPs", "x", "memory", "x", "stage"], planned),
    ]
  }

  private func row(_ line: Line, name: String) -> String {
    let (theirs, ours) = (endToEnd.paper, endToEnd.planned)
    let paper = [
      Self.number(line.paper.traffic, digits: 2), Self.ratio(theirs.traffic, line.paper.traffic),
      Self.number(line.paper.gigaflops), Self.ratio(theirs.gigaflops, line.paper.gigaflops),
    ]
    let planned = [
      Self.megabytes(line.planned.bytesDown), Self.megabytes(line.planned.bytesUp),
      Self.ratio(Double(ours.bytes), Double(line.planned.bytes)),
      Self.number(line.planned.gigaflopsPerImage),
      Self.ratio(ours.gigaflopsPerImage, line.planned.gigaflopsPerImage),
      Self.megabytes(line.planned.memoryBytes),
      Self.ratio(Double(ours.memoryBytes), Double(line.planned.memoryBytes)), "\(line.planned.memoryStage)",
    ]
    return Self.left("\(line.isPlan ? "*" : " ") \(name)", Self.first) + Self.right(paper, Self.paper)
      + Self.right(planned, Self.planned)
  }

  private static func number(_ value: Double, digits: Int = 0) -> String {
    // Without decimals the figures of a small plan would be zeros.
    String(format: "%.*f", value < 10 ? 2 : digits, value)
  }

  private static func megabytes(_ bytes: Int) -> String { number(Double(bytes) / 1e6) }

  private static func ratio(_ whole: Double, _ part: Double) -> String {
    part > 0 ? String(format: "%.2f", whole / part) : "-"
  }

  private static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 0))
  }

  private static func right(_ texts: [String], _ widths: [Int]) -> String {
    zip(texts, widths).reduce("") {
      $0 + String(repeating: " ", count: max($1.1 - $1.0.count, 1)) + $1.0
    }
  }
}
