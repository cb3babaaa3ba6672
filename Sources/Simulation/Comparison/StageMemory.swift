import Client
import Engine
import Federation
import Support

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
    let key = RoundKey(stage: stage, round: 1)
    let stage = plan.exampleStage(stage)
    let before = ProcessMemory.resident
    // As a client that has a process of its own cuts them.
    let options = try plan.trainingOptions(
      key, images: images, of: stage, workers: threads, resident: before)
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
      stage: key.stage, batch: options.batch, threads: threads, peakMemoryBytes: peak,
      plannedMemoryBytes: MemoryPlan(stage, options, workers: threads).bytes,
      trainerMemoryBytes: peak - before)
  }
}
