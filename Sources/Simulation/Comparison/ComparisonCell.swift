import Engine
import Federation
import Foundation
import Support

/// One run of a comparison: a variant with a seed, in a folder of its own.
package struct ComparisonCell: Sendable {
  package let variant: ComparisonVariant
  package let seed: UInt64
  package let plan: Plan
  /// What `fedsim run` is told beside the plan and the folder.
  package let options: [String]
  private let folder: URL

  package init(_ variant: ComparisonVariant, seed: UInt64, plan: Plan, options: [String], in folder: URL) {
    (self.variant, self.seed, self.plan, self.options) = (variant, seed, plan, options)
    self.folder = folder.appendingPathComponent("\(variant.name)-\(seed)", isDirectory: true)
  }

  package var name: String { "\(variant.name)-\(seed)" }

  private var planFile: URL { folder.appendingPathComponent("plan.yaml") }
  private var note: URL { folder.appendingPathComponent("cell.json") }

  /// What a finished run says about itself: when it was not asked for the very same, it is run again.
  private struct Note: Codable, Equatable {
    let plan: String
    let options: [String]
  }

  /// The run's figures, if it is finished and was asked for the same.
  package var record: Summary? {
    guard let data = try? Data(contentsOf: note), let old = try? JSON.read(Note.self, from: data),
      old == Note(plan: plan.yaml(), options: options)
    else { return nil }
    return Summary(folder: folder)
  }

  /// Makes the folder ready, with the plan in it. Returns the arguments of the run.
  func prepare() throws -> [String] {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    if FileManager.default.fileExists(atPath: note.path) { try FileManager.default.removeItem(at: note) }
    try Data(plan.yaml().utf8).write(to: planFile)
    return ["run", planFile.path, "--out", folder.path, "--overwrite"] + options
  }

  /// Notes that the run is finished, which its files alone do not say: a summary may come from another plan.
  func finish() throws {
    try JSON.shown(Note(plan: plan.yaml(), options: options)).write(to: note, options: .atomic)
  }
}
