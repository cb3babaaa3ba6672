import Engine
import Testing

@Suite struct TrainerTests {
  private struct Result: Equatable {
    var summary: TrainingSummary
    var parameters: [UInt32]
  }

  private func train(_ strategy: Strategy, workers: Int, seed: UInt64) -> Result {
    let options = TinyViT.options(alignment: 0.5, proximal: 0.1, epochs: 2)
    let trainer = TinyViT.trainer(TinyViT.stage(strategy), options, workers: workers, seed: seed)
    let summary = trainer.train(RandomViews(seed: seed, count: 17), seed: seed)
    return Result(summary: summary, parameters: trainer.parameters.all.bits)
  }

  @Test(arguments: Strategy.allCases) func hasTheSameBitsForAnyNumberOfWorkers(strategy: Strategy) {
    let first = train(strategy, workers: 1, seed: 131)
    #expect(first.summary.steps == 6)
    // One worker again, then more; three and four several times, since they race on two cores.
    for workers in [1, 2, 3, 4, 3, 4, 2] {
      #expect(train(strategy, workers: workers, seed: 131) == first, "\(workers) workers, seed 131")
    }
  }

  @Test(arguments: Strategy.allCases) func frozenParametersKeepTheirBits(strategy: Strategy) {
    let stage = TinyViT.stage(strategy)
    let trainer = TinyViT.trainer(stage, TinyViT.options(alignment: 0.5), workers: 2, seed: 132)
    let before = trainer.parameters.all.bits
    _ = trainer.train(RandomViews(seed: 132, count: 15), seed: 132)
    let after = trainer.parameters.all.bits
    let trained = Set(stage.entries.map(\.name))
    #expect(
      (trained.count == stage.model.layout.entries.count)
        == (strategy == .progressive || strategy == .endToEnd))
    for entry in stage.model.layout.entries {
      let isSame = after[entry.slot.range] == before[entry.slot.range]
      #expect(isSame == !trained.contains(entry.name), "\(entry.name), seed 132")
    }
  }

  /// Chunks change only the order of summation.
  @Test(arguments: Strategy.allCases) func chunksAgree(strategy: Strategy) {
    let views = RandomViews(seed: 133, count: 5)
    let stage = TinyViT.stage(strategy)
    let results = [1, 2, 3, 7, 10, 64].map { chunk in
      let options = TinyViT.options(alignment: 0.5, chunk: chunk)
      let trainer = TinyViT.trainer(stage, options, workers: 2, seed: 133)
      TinyViT.nudge(trainer, stage.ranges, seed: 134)
      let loss = trainer.step(on: views)
      let entries = stage.entries
      return (chunk, loss, entries.map { ($0.name, trainer.gradient($0.slot).array()) })
    }
    for (chunk, loss, gradients) in results.dropFirst() {
      #expect(abs(loss - results[0].1) < 1e-5 * abs(loss), "chunks of \(chunk), seed 133")
      // Excludes the final normalisation's bias: the projector's first normalisation makes its gradient zero, and only
      // rounding errors remain.
      for ((name, got), (_, expected)) in zip(gradients, results[0].2) where name != "norm.bias" {
        let largest = expected.reduce(0) { max($0, abs($1)) }
        let error = zip(got, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
        #expect(error <= 1e-4 * largest, "\(name), chunks of \(chunk), seed 133")
      }
    }
  }

  /// Without a difference from the global model the proximal term is zero, but alignment is not.
  @Test func comparesWithTheGlobalModelAsReceived() {
    let (stage, views) = (TinyViT.stage(.layerWise), RandomViews(seed: 135, count: 5))
    func loss(_ options: TrainingOptions, nudged: Bool) -> Float {
      let trainer = TinyViT.trainer(stage, options, seed: 135)
      if nudged { TinyViT.nudge(trainer, stage.ranges, seed: 136) }
      return trainer.step(on: views)
    }
    let plain = TinyViT.options()
    let proximal = TinyViT.options(proximal: 0.5)
    #expect(loss(proximal, nudged: false) == loss(plain, nudged: false))
    #expect(loss(proximal, nudged: true) > loss(plain, nudged: true) + 0.1)
    #expect(loss(TinyViT.options(alignment: 0.5), nudged: false) > loss(plain, nudged: false) + 0.1)
  }

  @Test func learns() {
    let trainer = TinyViT.trainer(
      TinyViT.stage(.endToEnd), TinyViT.options(batch: 8, epochs: 12), workers: 2, seed: 137)
    var losses: [Float] = []
    _ = trainer.train(RandomViews(seed: 137, count: 24), seed: 137) { _, _, loss in
      losses.append(loss)
      return true
    }
    let (first, last) = (losses.prefix(3).reduce(0, +) / 3, losses.suffix(3).reduce(0, +) / 3)
    #expect(losses.count == 36 && last < first - 0.3, "\(first) to \(last), seed 137")
  }

  /// Divergence must be visible: NaN propagates to the loss.
  @Test(arguments: Strategy.allCases) func aPixelThatIsNotANumberShowsInTheLoss(strategy: Strategy) {
    let trainer = TinyViT.trainer(TinyViT.stage(strategy), TinyViT.options(), seed: 140)
    let views = RandomViews(seed: 140, count: 5)
    let rows = GivenRows { view, image, pixels in
      views.write(view: view, image: image, epoch: 0, worker: 0, into: pixels)
      if view == 1 && image == 3 { pixels[100] = .nan }
    }
    #expect(trainer.step(on: rows).isNaN)
  }

  private static func slot(_ name: String, of trainer: Trainer) throws -> Slot {
    try #require(trainer.stage.model.layout.entries.first { $0.name == name }).slot
  }

  @Test func aFrozenLayerHasNoGradient() async {
    await #expect(processExitsWith: .failure) {
      let trainer = TinyViT.trainer(TinyViT.stage(.layerWise), TinyViT.options(), seed: 138)
      _ = trainer.step(on: RandomViews(seed: 138, count: 5))
      _ = trainer.gradient(try Self.slot("blocks.0.norm1.weight", of: trainer))
    }
    await #expect(processExitsWith: .success) {
      let trainer = TinyViT.trainer(TinyViT.stage(.layerWise), TinyViT.options(), seed: 138)
      _ = trainer.step(on: RandomViews(seed: 138, count: 5))
      _ = trainer.gradient(try Self.slot("blocks.1.norm1.weight", of: trainer))
    }
  }

  @Test func aBatchOfOneImageTraps() async {
    await #expect(processExitsWith: .failure) {
      _ = TinyViT.trainer(TinyViT.stage(.layerWise), TinyViT.options(batch: 1), seed: 139)
    }
  }
}
