import Engine
import Testing

/// A ResNet small enough to be trained a thousand times in a test.
enum TinyResNet {
  static let encoder = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 8), width: 3, depth: 4))

  static func stage(_ strategy: Strategy, index: Int, objective: ObjectiveKind = .simclr) -> Stage {
    Stage(
      strategy, index: index, encoder,
      objective: objective.configuration(ObjectiveSettings(heads: TinyViT.heads)))
  }

  /// Returns a trainer whose parameters and running statistics all differ from their initial values.
  static func trainer(_ stage: Stage, _ options: TrainingOptions, workers: Int = 1, seed: UInt64) -> Trainer {
    let trainer = Trainer(stage, options, workers: Workers(workers))
    Initialisation.random(stage.model, into: trainer.parameters, seed: seed)
    for entry in stage.model.layout.entries where entry.shape.count == 1 {
      var random = RandomNumbers(seed, "nudge \(entry.name)")
      let values = trainer.parameters[entry.slot]
      for index in 0..<values.count { values[0, index] += random.uniform(-0.2, 0.3) }
    }
    trainer.begin()
    return trainer
  }

  static func views(_ seed: UInt64) -> GivenRows {
    GivenRows { view, image, pixels in
      var (own, noise) = (RandomNumbers(seed, "image", image), RandomNumbers(seed, "noise", view, image))
      for index in 0..<encoder.input.count { pixels[index] = own.normal() + 0.3 * noise.normal() }
    }
  }
}

@Suite struct ResNetTests {
  /// The gradients of Σ pooled ⊙ c, compared with differences of an implementation in Double.
  @Test(
    arguments: [
      (Strategy.layerWise, 1), (.layerWise, 2), (.layerWise, 4), (.progressive, 3), (.endToEnd, 1),
    ], [0, 0.05 as Float])
  func gradientsAreThoseOfFiniteDifferences(stage: (Strategy, Int), tau: Float) throws {
    let (strategy, index) = stage
    let seed: UInt64 = 7
    let stage = TinyResNet.stage(strategy, index: index)
    let encoder = try #require(stage.model.encoder as? ResNet)
    let trainer = TinyResNet.trainer(stage, TinyViT.options(batch: 3), seed: seed)
    let settings = PassSettings(
      prefix: 0, trainedBlocks: Set(0..<stage.model.depth), trainsStem: true, views: 2, batch: 3, chunk: 2,
      keptRows: 6, branchPenalties: tau == 0 ? [] : [Kinetic(tau: tau)])
    let encoderPass = encoder.makePass(settings, workers: Workers(2))
    let memory = Storage(0..<12 * encoder.pooledWidth)
    let pooled = memory[0..<6 * encoder.pooledWidth].reshaped(6, encoder.pooledWidth)
    let d = memory[6 * encoder.pooledWidth..<12 * encoder.pooledWidth].reshaped(6, encoder.pooledWidth)
    var random = RandomNumbers(seed, "weights of the sum")
    d.draw(&random)
    let weights = d.doubles
    let lanes = (0..<4).map { _ in StorageBox(stage.model.layout.range) }
    let write = TinyResNet.views(seed).body
    let batch = Minibatch(TinyResNet.views(seed), first: 3)
    encoderPass.forward(trainer.parameters, batch, into: pooled, branches: [])
    let terms = encoderPass.backward(d, trainer.parameters, batch, pooled: pooled, into: lanes)

    var images: [[Double]] = []
    let image = Storage(0..<encoder.shape.images.count)
    for row in 0..<6 {
      write(row / 3, row % 3, image.all.start)
      images.append(image.all.doubles)
    }
    var reference = ReferenceResNet(parameters: [:], encoder: encoder, views: 2)
    for entry in stage.model.layout.entries {
      reference.parameters[entry.name] = trainer.parameters[entry.slot].doubles
    }
    /// Σ over branches of mean(r²) / (2 τ).
    func kinetic(_ branches: [[[Double]]]) -> Double {
      branches.reduce(0) { sum, branch in
        let elements = branch.joined()
        return sum + elements.reduce(0) { $0 + $1 * $1 } / Double(elements.count) / (2 * Double(tau))
      }
    }
    func value() -> Double {
      let (pooled, branches) = reference.run(images)
      return zip(pooled.joined(), weights).reduce(tau == 0 ? 0 : kinetic(branches)) { $0 + $1.0 * $1.1 }
    }
    let penalties = terms.reduce(0) { $0 + Double($1.value) }
    #expect(terms.map(\.name) == (tau == 0 ? [] : ["kinetic"]))
    #expect(
      abs(pooled.doubles.enumerated().reduce(penalties) { $0 + $1.1 * weights[$1.0] } - value())
        < 1e-3 + 1e-5 * penalties)

    for entry in stage.model.layout.entries
    where !entry.isBuffer && entry.slot.offset < stage.model.headStart {
      let start = trainer.parameters[entry.slot].doubles
      var gradient = [Double](repeating: 0, count: start.count)
      for lane in lanes {
        for (index, value) in lane.storage[entry.slot].doubles.enumerated() { gradient[index] += value }
      }
      let length = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let directions = [
        gradient.map { $0 / max(length, 1e-12) }, gradient.map { _ in Double(random.normal()) },
      ]
      for direction in directions {
        let step = 1e-6
        reference.parameters[entry.name] = zip(start, direction).map { $0 + step * $1 }
        let above = value()
        reference.parameters[entry.name] = zip(start, direction).map { $0 - step * $1 }
        let below = value()
        reference.parameters[entry.name] = start
        let claimed = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
        let error = abs((above - below) / (2 * step) - claimed) / max(length, 1e-3)
        #expect(error < 1e-3, "\(entry.name), seed \(seed)")
      }
    }
  }

  @Test func runningStatisticsHaveNoGradientAndFollowTheBatches() throws {
    let stage = TinyResNet.stage(.layerWise, index: 2)
    let trainer = TinyResNet.trainer(stage, TinyViT.options(batch: 6), seed: 21)
    let entries = stage.model.layout.entries.filter(\.isBuffer)
    let before = entries.map { trainer.parameters[$0.slot].array() }
    for _ in 0..<200 { _ = trainer.step(on: TinyResNet.views(22)) }
    for (entry, old) in zip(entries, before) {
      let new = trainer.parameters[entry.slot].array()
      if !stage.entries.contains(where: { $0.name == entry.name }) {
        #expect(new == old, "\(entry.name) is frozen")
      } else {
        #expect(new != old, "\(entry.name) stands still")
        #expect(trainer.gradient(entry.slot).array().allSatisfy { $0 == 0 })
      }
    }
  }

  @Test func threadsDoNotChangeABit() {
    let stage = TinyResNet.stage(.progressive, index: 2)
    let results = [1, 2, 3].map { workers in
      let trainer = TinyResNet.trainer(
        stage, TinyViT.options(alignment: 0.2, batch: 7), workers: workers, seed: 31)
      for _ in 0..<3 { _ = trainer.step(on: TinyResNet.views(32), learningRate: 1e-2) }
      return trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  /// A step with the frozen layers' outputs equals the step that computes them.
  @Test func aTrainerTakesFeaturesForImages() {
    let stage = TinyResNet.stage(.layerWise, index: 3)
    let write = TinyResNet.views(41).body
    var losses: [Float] = []
    for givesFeatures in [false, true] {
      let trainer = TinyResNet.trainer(stage, TinyViT.options(batch: 5), workers: 2, seed: 42)
      let runner = PrefixRunner(stage.model, chunk: 3, workers: Workers(2))
      runner.parameters.copy(stage.model.layout.range, from: trainer.parameters)
      let size = stage.model.encoder.featureSize(behind: 2)
      let memory = Storage(0..<10 * size)
      let all = memory.all.start
      runner.run(10, from: .images, to: 2) { row, worker, place in
        write(row / 5, row % 5, place)
      } write: { row, features in
        (all + row * size).update(from: features, count: size)
      }
      let rows = GivenRows(givesFeatures: givesFeatures) { view, image, place in
        if givesFeatures {
          place.update(from: all + (view * 5 + image) * size, count: size)
        } else {
          write(view, image, place)
        }
      }
      losses.append(trainer.step(on: rows, learningRate: 1e-2))
    }
    #expect(losses[0] == losses[1])
  }

  @Test func hasResNet18sShape() {
    let encoder = EncoderConfiguration(
      ResNetConfiguration(images: ImageInput(side: 32), width: 64, depth: 4))
    let model = Model(encoder, objective: .contrastive(HeadConfiguration()), depth: 4)
    let weights = model.layout.entries.filter {
      !$0.isBuffer && $0.slot.offset < model.encoderRange.upperBound
    }
    // torchvision's resnet18 has 11,176,512 without its classifier, 9,408 of them in a 7 x 7 stem.
    #expect(weights.reduce(0) { $0 + $1.slot.count } == 11_176_512 - 9_408 + 1_728)
    #expect(encoder.output == 512 && model.encoder.pooledWidth == 512)
    #expect(model.parts.map(\.name) == ["stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "projector"])
    let second = Model(encoder, objective: .contrastive(HeadConfiguration()), depth: 2)
    #expect(second.encoder.pooledWidth == 128 && second.part("adapter.2")?.range.count == 128 * 512 + 512)
  }

  /// Running statistics that have converged to those of a batch give the same result for it.
  @Test func representationsUseTheRunningStatistics() {
    let stage = TinyResNet.stage(.endToEnd, index: 1)
    let trainer = TinyResNet.trainer(stage, TinyViT.options(batch: 6), seed: 51)
    func represent(_ chunk: Int) -> [Float] {
      let rows = Representations.of(
        6, by: stage.model, trainer.parameters, workers: Workers(2), chunk: chunk
      ) { TinyResNet.views(52).body(0, $0, $2) }
      return rows.all.array()
    }
    let before = represent(2)
    for (a, b) in zip(represent(4), before) { #expect(abs(a - b) < 1e-4 * max(1, abs(a))) }
    _ = trainer.step(on: TinyResNet.views(52))
    #expect(represent(2) != before)
  }
}
