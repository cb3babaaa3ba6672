import Client
import Datasets
import Engine
import Federation
import Foundation
import Support

/// Times the decoding and the augmentation of a plan's images, as shares of the plan's training steps.
package struct ViewBenchmark: Sendable {
  private let plan: Plan
  private let data: DataSpec
  /// The number of images that are decoded and augmented.
  package var images = 64
  /// The number of images of a step; nil for the plan's batch.
  package var batch: Int?
  /// The number of threads of a step; decoding and augmentation are timed on one.
  package var threads = 1
  /// The number of timed steps of a stage.
  package var steps = 3

  /// Creates a benchmark of a plan that trains on images, with the images of `data`.
  package init(_ plan: Plan, data: DataSpec) { (self.plan, self.data) = (plan, data) }

  /// The figures of one run, in milliseconds of one core. The names are those of `--json`.
  package struct Result: Sendable, Codable {
    /// The figures of a stage.
    package struct Stage: Sendable, Codable {
      /// The number of the stage, starting at 1.
      package let stage: Int
      /// The time of a step on views that are ready, for each image of the batch.
      package let stepMilliseconds: Double
      /// The views of an image in a step.
      package let views: Int
      /// The share of a whole step that making an image's views takes, without and with its decoding.
      package let viewShare, decodingAndViewShare: Double
    }

    /// The side of a view in pixels, and its number of channels.
    package let side, channels: Int
    /// The number of images that were timed.
    package let images: Int
    /// The time to read and decode an image that is not in the cache; about 0 for images in memory.
    package let decodeMilliseconds: Double
    /// The time of a view of a decoded image: the mean of the first and the second view.
    package let viewMilliseconds: Double
    /// The time of each operation if it takes place.
    package let operations: [String: Double]
    package let stages: [Stage]
  }

  /// The number of passes over the images; the fastest counts, because other processes only delay.
  private static let passes = 3

  /// Runs the benchmark on the calling thread. Throws a ``DatasetError``.
  package func run() throws(DatasetError) -> Result {
    // Once to bring the files into the kernel's cache, so that a slow disk is not part of the figures.
    var decoding = Double.infinity
    for _ in 0..<2 { decoding = min(decoding, decode(try load())) }
    let set = try load()
    let view = time(plan.augmentation, set)
    let shape = plan.encoder.input.images
    return Result(
      side: shape.side, channels: shape.channels, images: set.count, decodeMilliseconds: decoding,
      viewMilliseconds: view, operations: operations(of: set),
      stages: (1...plan.stages).map { stage($0, decoding: decoding, view: view) })
  }

  private func load() throws(DatasetError) -> ImageSet {
    try data.images(role: .train, for: plan.encoder).prefix(images)
  }

  /// Returns the milliseconds to decode an image of a set that has decoded none.
  private func decode(_ set: ImageSet) -> Double {
    let clock = ContinuousClock()
    let elapsed = clock.measure { for index in 0..<set.count { set.withImage(index) { _ in } } }
    return elapsed.seconds * 1000 / Double(set.count)
  }

  /// Returns the milliseconds of a view, the mean of both kinds, of an image that has just been decoded.
  private func time(_ settings: AugmentationSettings, _ set: ImageSet) -> Double {
    let augmenter = Augmenter(settings, for: plan.encoder)
    let scratch = augmenter.makeScratch(for: set)
    var pixels = [Float](repeating: 0, count: plan.encoder.input.count)
    let clock = ContinuousClock()
    return pixels.withUnsafeMutableBufferPointer { buffer in
      guard let place = buffer.baseAddress else { return 0 }
      let passes = (0..<Self.passes).map { pass in
        (0..<set.count).reduce(0.0) { sum, index in
          set.withImage(index) { _ in }
          let elapsed = clock.measure {
            for view in 0..<2 {
              var random = RandomNumbers(plan.seed, "view", pass, index, view)
              augmenter.view(view, of: set, index: index, random: &random, into: place, scratch: scratch)
            }
          }
          return sum + elapsed.seconds
        }
      }
      return (passes.min() ?? 0) * 1000 / Double(2 * set.count)
    }
  }

  /// Returns the milliseconds of the crop with normalisation, and what each other operation adds to it.
  private func operations(of set: ImageSet) -> [String: Double] {
    var none = plan.augmentation
    (none.flip, none.jitter, none.grayscale, none.blur, none.solarize) = (0, 0, 0, [0, 0], [0, 0])
    let changes: [(String, (inout AugmentationSettings) -> Void)] = [
      ("flip", { $0.flip = 1 }), ("jitter", { $0.jitter = 1 }), ("grayscale", { $0.grayscale = 1 }),
      ("blur", { $0.blur = [1, 1] }), ("solarize", { $0.solarize = [1, 1] }),
    ]
    let crop = time(none, set)
    var result = ["crop": crop]
    for (name, change) in changes {
      var settings = none
      change(&settings)
      result[name] = time(settings, set) - crop
    }
    return result
  }

  private func stage(_ index: Int, decoding: Double, view: Double) -> Result.Stage {
    let key = RoundKey(stage: index, round: 1)
    let stage = plan.stage(index, keeping: plan.keptBlocks(key, client: "bench"))
    let options = plan.trainingOptions(.whole, stage: index, images: batch ?? plan.local.batch)
    let trainer = Trainer(stage, options, workers: Workers(threads))
    Initialisation.random(stage.model, into: trainer.parameters, seed: plan.seed)
    trainer.begin()
    let rows = NoiseImages(size: plan.encoder.input.count, count: options.batch)
    func step() { _ = trainer.step(learningRate: 1e-6, Minibatch(rows, first: options.batch)) }
    step()
    let clock = ContinuousClock()
    let seconds = (0..<steps).map { _ in clock.measure(step).seconds }.sorted()[steps / 2]
    let rest = seconds * 1000 * Double(threads) / Double(options.batch)
    let views = stage.model.objective.views
    let making = Double(views) * view
    return Result.Stage(
      stage: index, stepMilliseconds: rest, views: views, viewShare: making / (making + rest),
      decodingAndViewShare: (making + decoding) / (making + decoding + rest))
  }
}
