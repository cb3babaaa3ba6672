import Engine
import Federation
import Foundation
import Support

/// What a client's process has resident in each stage of a plan: each measured by `fedsim memory` in a process
/// of its own, and kept in a file.
struct ClientMemory {
  let plan: Plan
  /// Images of the client.
  let images: Int
  let threads: Int
  let file: URL

  /// What was measured, and of what.
  private struct Note: Codable {
    let plan: String
    let images: Int
    let threads: Int
    let stages: [StageMemory.Result]
  }

  /// Why a stage could not be measured.
  struct Failure: Error {
    let stage: Int
    let code: Int32
    let reason: String
  }

  /// What was measured of the same before.
  var known: [StageMemory.Result]? {
    guard let data = try? Data(contentsOf: file), let note = try? JSON.read(Note.self, from: data),
      (note.plan, note.images, note.threads) == (plan.yaml(), images, threads)
    else { return nil }
    return note.stages
  }

  /// Measures stage by stage. Throws ``Failure`` at the first that cannot be.
  func measure(_ process: OwnProcess) async throws -> [StageMemory.Result] {
    let folder = file.deletingLastPathComponent()
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let planFile = file.deletingPathExtension().appendingPathExtension("yaml")
    try Data(plan.yaml().utf8).write(to: planFile)
    var stages: [StageMemory.Result] = []
    for stage in 1...plan.stages {
      let outcome = try await process.run(
        [
          "memory", planFile.path, "--stage", "\(stage)", "--images", "\(images)", "--threads", "\(threads)",
        ], keepingOutput: true)
      guard outcome.code == 0 else {
        throw Failure(stage: stage, code: outcome.code, reason: outcome.reason)
      }
      stages.append(try JSON.read(StageMemory.Result.self, from: outcome.output))
    }
    let note = Note(plan: plan.yaml(), images: images, threads: threads, stages: stages)
    try JSON.stored(note).write(to: file, options: .atomic)
    return stages
  }
}
