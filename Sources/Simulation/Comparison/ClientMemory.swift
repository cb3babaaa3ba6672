import Client
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

/// Measures what a client's training of one stage has resident, for which the process must do nothing else.
package struct StageMemory: Sendable {
  private let plan: Plan
  private let stage: Int
  private let images: Int
  private let threads: Int

  /// Figures of one stage. The names are those that `fedsim memory` prints.
  package struct Result: Sendable, Hashable, Codable {
    package let stage: Int
    /// Images a step.
    package let batch: Int
    package let threads: Int
    /// The most that the process had resident (VmHWM).
    package let peakMemoryBytes: Int
    /// What the trainer was planned to take.
    package let plannedMemoryBytes: Int
    /// By how much its allocation and a step raised what is resident.
    package let trainerMemoryBytes: Int

    package init(
      stage: Int, batch: Int, threads: Int, peakMemoryBytes: Int, plannedMemoryBytes: Int,
      trainerMemoryBytes: Int
    ) {
      (self.stage, self.batch, self.threads) = (stage, batch, threads)
      (self.peakMemoryBytes, self.plannedMemoryBytes) = (peakMemoryBytes, plannedMemoryBytes)
      self.trainerMemoryBytes = trainerMemoryBytes
    }
  }

  /// `images` are those of the client, which matter where they are less than a batch.
  package init(_ plan: Plan, stage: Int, images: Int, threads: Int) {
    precondition((1...plan.stages).contains(stage) && images >= 2, "stage \(stage), \(images) images")
    (self.plan, self.stage, self.images, self.threads) = (plan, stage, images, threads)
  }

  /// Allocates the stage's trainer and does one optimiser step on noise.
  ///
  /// Throws ``MemoryPlan/TooSmall`` where the plan's limit is below what the stage needs.
  package func measure() throws(MemoryPlan.TooSmall) -> Result {
    let stage = plan.exampleStage(stage)
    let before = ProcessMemory.resident
    // As a client that has a process of its own cuts them.
    let options = try plan.trainingOptions(
      .whole, images: images, of: stage, workers: threads, resident: before)
    let trainer = Trainer(stage, options, workers: Workers(threads))
    Initialisation.random(stage.model, into: trainer.parameters, seed: plan.seed)
    trainer.begin()
    // A client with fixed views reads what the frozen prefix made of them.
    let features = plan.local.views > 0 && !stage.trainsStem
    let noise = NoiseImages(
      size: features
        ? stage.model.encoder.featureSize(behind: stage.prefixDepth) : plan.encoder.input.count,
      givesFeatures: features)
    _ = trainer.step(learningRate: 1e-4, Minibatch(noise, first: options.batch))
    let peak = ProcessMemory.peak
    return Result(
      stage: stage.index, batch: options.batch, threads: threads, peakMemoryBytes: peak,
      plannedMemoryBytes: MemoryPlan(stage, options, workers: threads).bytes,
      trainerMemoryBytes: peak - before)
  }
}
