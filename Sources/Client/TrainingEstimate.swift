import Datasets
import Engine
import Federation
import Support

/// What a plan's stages take on this machine, by doing a few steps of each on the images that are there.
package struct TrainingEstimate: Sendable {
  /// Figures of a stage. The names are those of `fedclient check --json`.
  package struct Stage: Sendable, Codable {
    /// The stage, counted from 1, and its rounds.
    package let stage, rounds: Int
    /// Images a step.
    package let batch: Int
    /// Optimiser steps of a round.
    package let steps: Int
    /// What the process will have resident at most: what it has now, decoded images, and the trainer.
    package let memoryBytes: Int
    /// Of one round's training; without it where the stage does not fit into the memory that it may have.
    package let secondsPerRound: Double?
    /// Why the stage cannot be trained.
    package let problem: String?
  }

  private let plan: Plan
  private let images: ImageSet
  private let threads: Int
  private let limit: ByteCount?
  /// Beside the trainer.
  private let resident: Int

  /// Steps that are timed, after one that is not: it touches the memory.
  private static let timedSteps = 2

  /// For two images or more that fit the plan's encoder; `limit` is what the process may have resident, and else the
  /// plan says.
  package init(_ plan: Plan, _ images: ImageSet, threads: Int, limit: ByteCount?) {
    precondition(images.count >= 2, "\(images.count) images")
    (self.plan, self.images, self.threads, self.limit) = (plan, images, threads, limit)
    resident = ProcessMemory.resident + images.spareBytes
  }

  /// Takes three steps' time on the calling thread.
  package func measure(stage index: Int) -> Stage {
    let key = RoundKey(stage: index, round: 1)
    let stage = plan.stage(index, keeping: plan.keptBlocks(key, client: "check"))
    let options: TrainingOptions
    do {
      options = try plan.trainingOptions(
        .whole, images: images.count, of: stage, workers: threads, limit: limit, resident: resident)
    } catch {
      let wanted = plan.trainingOptions(.whole, images: images.count)
      return figures(key, wanted, memory: error.needed, seconds: nil, problem: "\(error)")
    }
    return figures(
      key, options, memory: MemoryPlan(stage, options, workers: threads).bytes,
      seconds: time(stage, options), problem: nil)
  }

  private func figures(
    _ key: RoundKey, _ options: TrainingOptions, memory: Int, seconds: Double?, problem: String?
  ) -> Stage {
    let steps = options.epochs * (images.count / options.batch)
    return Stage(
      stage: key.stage, rounds: plan.mostRounds(stage: key.stage), batch: options.batch, steps: steps,
      memoryBytes: resident + memory, secondsPerRound: seconds.map { $0 * Double(steps) }, problem: problem)
  }

  /// Seconds of a step on views of these images or, as behind fixed views, on what the frozen layers make of them.
  private func time(_ stage: Engine.Stage, _ options: TrainingOptions) -> Double {
    let trainer = Trainer(stage, options, workers: Workers(threads))
    Initialisation.random(stage.model, into: trainer.parameters, seed: plan.seed)
    trainer.begin()
    let views = AugmentedViews(
      images, Augmenter(plan.augmentation, for: plan.encoder),
      seed: plan.seed, workers: threads)
    let features = plan.local.views > 0 && !stage.trainsStem
    let source: any RowSource =
      features
      ? NoiseImages(
        size: stage.model.encoder.featureSize(behind: stage.prefixDepth), givesFeatures: true)
      : views
    func step(_ number: Int) {
      let taken = (0..<options.batch).map { (number * options.batch + $0) % images.count }
      _ = trainer.step(learningRate: 1e-6, Minibatch(source, images: taken[...], epoch: number))
    }
    step(0)
    let elapsed = ContinuousClock().measure { for number in 1...Self.timedSteps { step(number) } }
    return elapsed.seconds / Double(Self.timedSteps)
  }
}

/// A few images' worth of normal noise, which stands for any image.
package struct NoiseImages: RowSource, Sendable {
  package let count = 8
  package let givesFeatures: Bool
  /// Floats of an image.
  private let size: Int
  private let values: [Float]

  /// `size` floats an image, or what a frozen prefix would leave of it.
  package init(size: Int, givesFeatures: Bool = false) {
    (self.size, self.givesFeatures) = (size, givesFeatures)
    var random = RandomNumbers(3)
    values = (0..<count * size).map { _ in random.normal() }
  }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>
  ) {
    write(view + 2 * image, into: place)
  }

  /// Writes the image that stands for image `index`.
  package func write(_ index: Int, into place: UnsafeMutablePointer<Float>) {
    values.withUnsafeBufferPointer {
      if let start = $0.baseAddress { place.update(from: start + index % count * size, count: size) }
    }
  }
}
