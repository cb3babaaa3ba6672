import Client
import Engine
import Foundation
import Support

/// Times optimiser steps of ViT-Tiny (depth 12, 32 x 32, patch 4) and compares them with the rate of OpenBLAS.
package struct StepBenchmark: Sendable {
  package var strategy = Strategy.layerWise
  package var objective = ObjectiveKind.simclr
  package var stage = 12
  package var batch = 128
  package var threads = 1
  package var steps = 5
  /// Whether only the forward pass of the frozen prefix is timed.
  package var prefixOnly = false
  /// Whether the last block computes all tokens or only those that the readout needs.
  package var lastBlock = LastBlock.readout
  package var chunk = 8
  /// The trainer's memory limit in bytes; it computes in slices to stay below it.
  package var memory: Int?
  /// The order of the entropy of a bottleneck, which is added to the loss; nil for none.
  package var bottleneck: Double?

  package init() {}

  /// The figures of one run. The names are those of `--json`.
  package struct Result: Sendable, Codable {
    package struct Seconds: Sendable, Codable {
      package let min: Double
      package let median: Double
    }

    package let strategy: String
    package let objective: String
    package let stage: Int
    package let batch: Int
    package let threads: Int
    package let stepSeconds: Seconds
    /// The rate of the computed products, in 10^9 operations per second.
    package let gflops: Double
    /// The rate of a product of 2048 x 2048 matrices with the same number of threads.
    package let sgemmGflops: Double
    package let fraction: Double
    /// The peak resident memory of the process before the reference product was measured.
    package let peakMemoryBytes: Int
    /// The planned memory of the trainer, and the increase of resident memory by its allocation and steps; nil if only
    /// the prefix is timed.
    package let plannedMemoryBytes: Int?
    package let trainerMemoryBytes: Int?
    /// The share by which a bottleneck makes a step longer, as the median of pairs of steps with and without it, one
    /// after the other; nil without one.
    package let bottleneckShare: Double?
  }

  package static let encoder = EncoderConfiguration(image: 32, patch: 4, width: 192, depth: 12, heads: 3)

  /// Runs one step to warm up and then the timed steps.
  ///
  /// Throws ``MemoryPlan/TooSmall`` if the trainer does not fit.
  package func run() throws -> Result {
    let stage = Stage(
      strategy, index: strategy.hasSingleStage ? 1 : stage, Self.encoder,
      objective: objective.configuration(
        ObjectiveSettings(
          classifier: ClassifierConfiguration(classes: 10),
          masked: (Self.encoder.value as? ViTConfiguration).map { MaskedConfiguration(for: $0) })))
    let workers = Workers(threads)
    let times: [Double]
    let operations: Int
    var (planned, before): (Int?, Int?)
    var plain: TrainingOptions?
    if prefixOnly {
      times = timePrefix(stage, workers)
      let each = stage.model.encoder.operations
      operations = 2 * batch * (each.blocks.dropLast().reduce(0, +) + each.stem)
    } else {
      var options = try options(stage)
      if let bottleneck {
        plain = options
        options = withBottleneck(options, bottleneck)
      }
      planned = MemoryPlan(stage, options, workers: threads, lastBlock: lastBlock).bytes
      before = ProcessMemory.resident
      times = timeSteps(stage, options, workers)
      operations = OperationCount.step(
        stage, batch: batch, branches: options.branches(of: stage.model.objective).count,
        lastBlock: lastBlock)
    }
    let peak = ProcessMemory.peak
    let share = plain.map { timeBottleneck(stage, $0, bottleneck ?? 2, workers) }
    let sgemm = Products.measureRate(threads: threads)
    let rate = Double(operations) / times[0]
    return Result(
      strategy: strategy.rawValue, objective: objective.rawValue, stage: self.stage, batch: batch,
      threads: threads,
      stepSeconds: Result.Seconds(min: times[0], median: times[times.count / 2]), gflops: rate / 1e9,
      sgemmGflops: sgemm / 1e9, fraction: rate / sgemm, peakMemoryBytes: peak, plannedMemoryBytes: planned,
      trainerMemoryBytes: before.map { peak - $0 }, bottleneckShare: share)
  }

  /// Returns by which share a step is longer with the bottleneck.
  private func timeBottleneck(
    _ stage: Stage, _ options: TrainingOptions, _ alpha: Double, _ workers: Workers
  ) -> Double {
    let trainers = [options, withBottleneck(options, alpha)].map {
      Trainer(stage, $0, workers: workers, lastBlock: lastBlock)
    }
    for trainer in trainers {
      Initialisation.random(stage.model, into: trainer.parameters, seed: 1)
      trainer.begin()
    }
    let images = NoiseImages(size: Self.encoder.input.count, count: batch)
    let clock = ContinuousClock()
    func seconds(_ trainer: Trainer) -> Double {
      clock.measure { _ = trainer.step(learningRate: 1e-4, Minibatch(images, first: batch)) }.seconds
    }
    for trainer in trainers { _ = seconds(trainer) }
    let shares = (0..<steps).map { _ in
      let (plain, longer) = (seconds(trainers[0]), seconds(trainers[1]))
      return longer / plain - 1
    }
    return shares.sorted()[steps / 2]
  }

  private func options(_ stage: Stage) throws -> TrainingOptions {
    let options = TrainingOptions(
      temperature: 0.2, batch: batch, schedule: LearningRateSchedule(rate: 1e-4), chunk: chunk)
    guard let memory else { return options }
    return try MemoryPlan.fit(stage, options, workers: threads, allowed: memory)
  }

  /// Returns options with a bottleneck of order `alpha` between inputs and features.
  private func withBottleneck(_ options: TrainingOptions, _ alpha: Double) -> TrainingOptions {
    var options = options
    options.regularisers.append(
      .features(Bottleneck(RenyiBottleneck.Settings(weight: 0.01, alpha: alpha))))
    return options
  }

  private func timeSteps(_ stage: Stage, _ options: TrainingOptions, _ workers: Workers) -> [Double] {
    let trainer = Trainer(stage, options, workers: workers, lastBlock: lastBlock)
    Initialisation.random(stage.model, into: trainer.parameters, seed: 1)
    trainer.begin()
    let images = NoiseImages(size: Self.encoder.input.count, count: batch)
    return Self.time(steps) { _ = trainer.step(learningRate: 1e-4, Minibatch(images, first: batch)) }
  }

  private func timePrefix(_ stage: Stage, _ workers: Workers) -> [Double] {
    let prefix = PrefixRunner(stage.model, chunk: chunk, workers: workers)
    Initialisation.random(stage.model, into: prefix.parameters, seed: 1)
    let images = NoiseImages(size: Self.encoder.input.count, count: batch)
    return Self.time(steps) {
      prefix.run(2 * batch, from: .images, to: stage.model.depth - 1) { image, _, pixels in
        images.write(image, into: pixels)
      } write: { _, _ in
      }
    }
  }

  /// Returns the sorted seconds of `steps` calls, after one call that is not timed.
  private static func time(_ steps: Int, _ body: () -> Void) -> [Double] {
    let clock = ContinuousClock()
    body()
    return (0..<steps).map { _ in clock.measure(body).seconds }.sorted()
  }
}
