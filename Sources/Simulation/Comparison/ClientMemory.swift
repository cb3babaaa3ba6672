import Client
import Datasets
import Engine
import Federation
import Foundation
import Support

/// The resident memory of a client's process in each stage of a plan. `fedsim memory` measures each stage in a separate
/// process; the results are kept in a file.
struct ClientMemory {
  let plan: Plan
  /// The number of the client's images; nil if only an earlier measurement is wanted.
  let images: Int?
  let threads: Int
  let file: URL

  /// The results, and how they were measured.
  private struct Note: Codable {
    let plan: String
    let images: Int
    let threads: Int
    let stages: [StageMemory.Result]
  }

  /// The reason why a stage could not be measured.
  struct Failure: Error {
    let stage: Int
    let code: Int32
    let reason: String
  }

  /// The results of an earlier measurement of the same plan; its images and threads may have been others.
  var known: [StageMemory.Result]? {
    guard let data = try? Data(contentsOf: file), let note = try? JSON.read(Note.self, from: data),
      note.plan == plan.yaml()
    else { return nil }
    return note.stages
  }

  /// Measures each stage. Throws ``Failure`` at the first that cannot be measured.
  func measure(_ process: OwnProcess) async throws -> [StageMemory.Result] {
    guard let images else { preconditionFailure("the number of images is not known") }
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

/// Measures the resident memory of a client's training of one stage. The process must do nothing else.
package struct StageMemory: Sendable {
  private let plan: Plan
  private let stage: Int
  private let images: Int
  private let threads: Int

  /// The figures of one stage. The names are those of `fedsim memory`.
  package struct Result: Sendable, Hashable, Codable {
    package let stage: Int
    /// The number of images per step.
    package let batch: Int
    package let threads: Int
    /// The peak resident memory of the process (VmHWM).
    package let peakMemoryBytes: Int
    /// The planned memory of the trainer.
    package let plannedMemoryBytes: Int
    /// The increase of resident memory by the trainer's allocation and one step.
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

  /// - Parameter images: the number of the client's images, which matters if it is less than a batch.
  package init(_ plan: Plan, stage: Int, images: Int, threads: Int) {
    precondition((1...plan.stages).contains(stage) && images >= 2, "stage \(stage), \(images) images")
    (self.plan, self.stage, self.images, self.threads) = (plan, stage, images, threads)
  }

  /// Allocates the stage's trainer and runs one optimiser step on noise, or on a generated graph of that many nodes.
  ///
  /// Throws ``MemoryPlan/TooSmall`` if the plan's limit is too low for the stage.
  package func measure() throws(MemoryPlan.TooSmall) -> Result {
    let stage = plan.exampleStage(stage)
    let before = ProcessMemory.resident
    // Reduces the options as a client with a separate process does.
    let options = try plan.trainingOptions(
      .whole, images: images, nodes: images, of: stage, workers: threads, resident: before)
    let workers = Workers(threads)
    let trainer = Trainer(stage, options, workers: workers)
    Initialisation.random(stage.model, into: trainer.parameters, seed: plan.seed)
    trainer.begin()
    let rows = rows(stage, options, trainer.parameters, workers)
    _ = trainer.step(learningRate: 1e-4, Minibatch(rows, first: options.batch))
    let peak = ProcessMemory.peak
    return Result(
      stage: stage.index, batch: options.batch, threads: threads, peakMemoryBytes: peak,
      plannedMemoryBytes: MemoryPlan(stage, options, workers: threads).bytes,
      trainerMemoryBytes: peak - before)
  }

  private func rows(
    _ stage: Stage, _ options: TrainingOptions, _ parameters: borrowing Storage, _ workers: Workers
  ) -> any RowSource {
    if let encoder = stage.model.encoder as? any NodeEncoder {
      var model = BlockModel(nodes: images)
      model.features = plan.encoder.features
      if let classes = plan.method.classification?.classes.count { model.classes = classes }
      let set = model.generate()
      var prefix = NodePrefix(set.graph, features: set.features)
      prefix.freeze(to: stage.prefixDepth, of: encoder, parameters, workers)
      return prefix.rows(
        of: Array(0..<images), labels: plan.method.classification == nil ? nil : set.labels, for: encoder,
        workers)
    }
    // A client with fixed views reads the outputs of the frozen prefix.
    let features = plan.local.views > 0 && !stage.trainsStem
    return NoiseImages(
      size: features
        ? stage.model.encoder.featureSize(behind: stage.prefixDepth) : plan.encoder.input.count,
      count: options.batch, givesFeatures: features,
      localSize: options.localViews.map { plan.encoder.imageChannels * $0.size * $0.size } ?? 0)
  }
}
