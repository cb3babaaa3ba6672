import Engine
import Testing

/// Labelled images: a pattern of the class plus noise.
private struct LabelledViews: RowSource {
  let seed: UInt64
  let count: Int
  let classes: Int
  let imageSize: Int

  var labels: [Int]? { (0..<count).map { $0 % classes } }

  func write(view: Int, image: Int, epoch: Int, worker: Int, into pixels: UnsafeMutablePointer<Float>) {
    var pattern = RandomNumbers(5, "pattern", image % classes)
    var noise = RandomNumbers(seed, "noise", view, image, epoch)
    for index in 0..<imageSize { pixels[index] = pattern.normal() + noise.normal() }
  }
}

@Suite struct FineTuningTests {
  private static let encoders = [TinyViT.encoder, TinyResNet.encoder]

  /// An incomplete ResNet has a temporary linear layer after its layers.
  private static let adapted: EncoderConfiguration = {
    var encoder = TinyResNet.encoder
    encoder.depth = 2
    return encoder
  }()

  /// Returns a fine-tuning whose parameters all differ from their initial values.
  private func tuning(
    _ encoder: EncoderConfiguration, classes: Int = 3, batch: Int, workers: Int = 1, seed: UInt64
  ) -> FineTuning {
    var options = FineTuning.Options(epochs: 1, images: batch)
    (options.chunk, options.learningRate) = (3, 0.02 * 256 / Float(batch))
    let tuning = FineTuning(encoder, classes: classes, options, seed: seed, workers: Workers(workers))
    for entry in tuning.model.layout.entries {
      let values = tuning.trainer.parameters[entry.slot].flat
      var random = RandomNumbers(seed, entry.name)
      let (isVector, isScale) = (entry.shape.count == 1, !entry.name.hasSuffix("bias"))
      values.draw(&random, deviation: isVector ? 0.1 : 1 / Float(entry.slot.columns).squareRoot())
      if isVector && isScale { for index in 0..<values.count { values[0, index] += 1 } }
    }
    return tuning
  }

  private func views(_ encoder: EncoderConfiguration, _ count: Int, seed: UInt64) -> LabelledViews {
    LabelledViews(seed: seed, count: count, classes: 3, imageSize: encoder.input.count)
  }

  private func step(_ tuning: FineTuning, _ views: LabelledViews, learningRate: Float = 0) -> Float {
    tuning.trainer.step(on: views, learningRate: learningRate)
  }

  /// All parameters train: differentiates the loss of a step with respect to each of them.
  @Test(arguments: [3, 4] as [UInt64]) func gradientsAreThoseOfFiniteDifferences(seed: UInt64) {
    let tuning = tuning(TinyViT.encoder, batch: 7, workers: 2, seed: seed)
    let views = views(TinyViT.encoder, 7, seed: seed)
    let before = tuning.trainer.parameters.all.bits
    _ = step(tuning, views)
    let tensors = tuning.model.layout.entries.map {
      Differentiable(
        $0.name, tuning.trainer.parameters[$0.slot], gradient: tuning.trainer.gradient($0.slot).array())
    }
    #expect(
      Set(tensors.map(\.name)).isSuperset(of: ["head.weight", "head.bias", "cls_token", "norm.weight"]))
    #expect(tensors.reduce(0) { $0 + $1.gradient.count } == tuning.model.layout.count)
    FiniteDifferences(seed: seed).expect(tensors) { Double(step(tuning, views)) }
    #expect(tuning.trainer.parameters.all.bits == before, "a step without a rate changed parameters")
  }

  @Test(arguments: encoders + [adapted]) func learnsWhatIsSeparable(encoder: EncoderConfiguration) {
    let seed: UInt64 = 9
    let (train, test) = (views(encoder, 96, seed: seed), views(encoder, 90, seed: seed + 1))
    var options = FineTuning.Options(epochs: 20, images: 32)
    (options.chunk, options.learningRate) = (5, 0.08)
    let tuning = FineTuning(encoder, classes: 3, options, seed: seed, workers: Workers(2))
    let start = Model(encoder, objective: .contrastive(TinyViT.heads), depth: encoder.depth)
    let parameters = Storage(start.layout)
    Initialisation.random(start, into: parameters, seed: seed)
    tuning.trainer.parameters.copy(tuning.model.encoderRange, from: parameters)
    func accuracy() -> Double {
      tuning.accuracy(labels: test.labels ?? []) {
        test.write(view: 0, image: $0, epoch: 0, worker: $1, into: $2)
      }
    }
    let before = accuracy()
    var steps: [Int] = []
    let loss = tuning.train(train, seed: seed) { step, of, loss in
      #expect(of == 60 && loss.isFinite)
      steps.append(step)
    }
    #expect(steps == Array(1...60))
    #expect(loss < 0.2, "\(encoder.family), seed \(seed)")
    #expect(before < 0.7 && accuracy() > 0.96, "\(before), \(accuracy()), \(encoder.family), seed \(seed)")
  }

  @Test(arguments: encoders) func threadsDoNotChangeABit(encoder: EncoderConfiguration) {
    let train = views(encoder, 26, seed: 11)
    let results = [1, 2, 3].map { workers in
      let tuning = tuning(encoder, batch: 13, workers: workers, seed: 12)
      tuning.train(train, seed: 13)
      return tuning.trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  /// The seed determines the order of the images and the first linear layer.
  @Test func theSeedDecides() {
    func trained(_ seed: UInt64) -> [UInt32] {
      let train = views(TinyViT.encoder, 20, seed: 14)
      var options = FineTuning.Options(epochs: 2, images: 10)
      options.chunk = 3
      let tuning = FineTuning(TinyViT.encoder, classes: 3, options, seed: seed, workers: Workers(1))
      let before = tuning.trainer.parameters.all.bits
      tuning.train(train, seed: seed)
      #expect(tuning.trainer.parameters.all.bits != before)
      return tuning.trainer.parameters.all.bits
    }
    #expect(trained(1) == trained(1))
    #expect(trained(1) != trained(2))
  }

  /// Running statistics are updated by the batches, not by the optimiser.
  @Test func runningStatisticsFollowTheBatches() {
    let tuning = tuning(TinyResNet.encoder, batch: 6, seed: 15)
    let views = views(TinyResNet.encoder, 6, seed: 16)
    let before = tuning.model.layout.entries.map { tuning.trainer.parameters[$0.slot].array() }
    _ = step(tuning, views)
    let moved = tuning.model.layout.entries.map { tuning.trainer.parameters[$0.slot].array() }
    for (entry, (old, new)) in zip(tuning.model.layout.entries, zip(before, moved)) {
      #expect((old == new) == !entry.isBuffer, "\(entry.name) without a rate")
      if entry.isBuffer { #expect(tuning.trainer.gradient(entry.slot).array().allSatisfy { $0 == 0 }) }
    }
    _ = step(tuning, views, learningRate: 1e-2)
    for (entry, old) in zip(tuning.model.layout.entries, moved) where !entry.isBuffer {
      #expect(tuning.trainer.parameters[entry.slot].array() != old, "\(entry.name) stands still")
    }
  }
}
