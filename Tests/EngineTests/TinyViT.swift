import Engine

/// A vision transformer small enough to be trained a thousand times in a test, and its trainers.
enum TinyViT {
  static let encoder = EncoderConfiguration(image: 8, patch: 4, width: 12, depth: 3, heads: 3)
  static let heads = HeadConfiguration(hidden: 20, output: 10)

  /// Returns the second stage, or the only one of end-to-end training.
  static func stage(_ strategy: Strategy) -> Stage {
    Stage(strategy, index: strategy.hasSingleStage ? 1 : 2, encoder, objective: .contrastive(heads))
  }

  static func options(
    alignment: Float = 0, proximal: Float = 0, batch: Int = 5, epochs: Int = 1, chunk: Int = 3
  ) -> TrainingOptions {
    TrainingOptions(
      temperature: 0.5, alignment: alignment, proximal: proximal, batch: batch, epochs: epochs,
      weightDecay: 1e-3, schedule: LearningRateSchedule(rate: 1e-2), chunk: chunk)
  }

  /// Returns a trainer with random parameters, none of which is 0 or 1; the global model has the same. They are drawn
  /// here, so that seeds do not depend on a model's initialisation.
  static func trainer(
    _ stage: Stage, _ options: TrainingOptions, workers: Int = 1, seed: UInt64,
    lastBlock: LastBlock = .readout
  ) -> Trainer {
    let trainer = Trainer(stage, options, workers: Workers(workers), lastBlock: lastBlock)
    for entry in stage.model.layout.entries {
      let values = trainer.parameters[entry.slot].flat
      var random = RandomNumbers(seed, entry.name)
      if entry.shape.count > 1 {
        values.draw(&random, deviation: 1 / Float(entry.slot.columns).squareRoot())
      } else {
        Elementwise.fill(values, entry.name.hasSuffix("weight") ? 1 : 0)
      }
    }
    nudge(trainer, [stage.model.layout.range], seed: seed)
    trainer.begin()
    return trainer
  }

  /// Changes parameters, as training would.
  static func nudge(_ trainer: Trainer, _ ranges: [Range<Int>], by deviation: Float = 0.1, seed: UInt64) {
    for range in ranges {
      var random = RandomNumbers(seed, "nudge", range.lowerBound)
      let change = Storage(range)
      change.all.draw(&random, deviation: deviation)
      Elementwise.add(change.all, to: trainer.parameters[range])
    }
  }
}

/// Views that depend on seed, view, image and epoch: an image plus noise.
struct RandomViews: RowSource {
  let seed: UInt64
  let count: Int

  func write(view: Int, image: Int, epoch: Int, worker: Int, into pixels: UnsafeMutablePointer<Float>) {
    var own = RandomNumbers(seed, "image", image)
    var noise = RandomNumbers(seed, "noise", view, image, epoch)
    for index in 0..<TinyViT.encoder.input.count { pixels[index] = own.normal() + 0.5 * noise.normal() }
  }
}

extension Trainer {
  /// Runs a step on the first images of a source, in order. With the default rate the parameters do not change.
  func step(on source: some RowSource, learningRate: Float = 0) -> Float {
    terms(on: source, learningRate: learningRate).total
  }

  func terms(on source: some RowSource, learningRate: Float = 0) -> LossTerms {
    step(learningRate: learningRate, Minibatch(source, first: options.batch))
  }
}

/// Rows from a function.
struct GivenRows: RowSource {
  let count = Int.max
  var givesFeatures = false
  let body: (_ view: Int, _ image: Int, _ place: UnsafeMutablePointer<Float>) -> Void

  func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
    body(view, image, place)
  }
}
