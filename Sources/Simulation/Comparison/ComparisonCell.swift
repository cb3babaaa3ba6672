import Federation
import Foundation
import Support

/// One run of a comparison: a variant with a seed, in a separate folder.
package struct ComparisonCell: Sendable {
  package let variant: ComparisonVariant
  package let seed: UInt64
  package let plan: Plan
  /// The options of `fedsim run` that determine the encoder.
  package let options: [String]
  private let folder: URL

  package init(_ variant: ComparisonVariant, seed: UInt64, plan: Plan, options: [String], in folder: URL) {
    (self.variant, self.seed, self.plan, self.options) = (variant, seed, plan, options)
    self.folder = folder.appendingPathComponent(Self.name(variant, seed), isDirectory: true)
  }

  package var name: String { Self.name(variant, seed) }

  static func name(_ variant: ComparisonVariant, _ seed: UInt64) -> String { "\(variant.name)-\(seed)" }

  private var planFile: URL { folder.appendingPathComponent("plan.yaml") }
  private var note: URL { folder.appendingPathComponent(Self.note) }

  private static let note = "cell.json"

  /// The settings of a finished run that determine its encoder.
  private struct Note: Codable {
    let plan: String
    let options: [String]
  }

  /// The run's summary, if it has finished. The settings of its evaluation and its cores may have been others.
  package var record: Summary? {
    guard let data = try? Data(contentsOf: note), let old = try? JSON.read(Note.self, from: data),
      old.plan == plan.yaml(), Self.determining(old.options) == Self.determining(options)
    else { return nil }
    return Summary(folder: folder)
  }

  /// Returns the summary of a variant's finished run in a comparison's folder, whatever its plan; nil if there is none.
  static func record(_ variant: ComparisonVariant, _ seed: UInt64, in folder: URL) -> Summary? {
    let folder = folder.appendingPathComponent(name(variant, seed), isDirectory: true)
    guard FileManager.default.fileExists(atPath: folder.appendingPathComponent(note).path) else { return nil }
    return Summary(folder: folder)
  }

  /// Returns options without those that an earlier version noted although they do not determine the encoder.
  private static func determining(_ options: [String]) -> [String: String] {
    let pairs = stride(from: 0, to: options.count - 1, by: 2).map { (options[$0], options[$0 + 1]) }
    return Dictionary(
      pairs.filter { !["--cores", "--threads", "--fine-tune", "--probe-every"].contains($0.0) }
    ) {
      $1
    }
  }

  /// Prepares the folder with the plan. Returns the arguments of the run, which continues if it was interrupted.
  func prepare(_ more: [String]) throws -> [String] {
    let isKnown =
      (try? Data(contentsOf: planFile)) == Data(plan.yaml().utf8)
      && FileManager.default.fileExists(atPath: folder.appendingPathComponent(RunRecord.name).path)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    if FileManager.default.fileExists(atPath: note.path) { try FileManager.default.removeItem(at: note) }
    try Data(plan.yaml().utf8).write(to: planFile, options: .atomic)
    return ["run", planFile.path, "--out", folder.path, isKnown ? "--resume" : "--overwrite"] + options + more
  }

  /// Records that the run is finished; its files do not show this, since a summary may come from another plan.
  func finish() throws {
    try JSON.shown(Note(plan: plan.yaml(), options: options)).write(to: note, options: .atomic)
  }
}
