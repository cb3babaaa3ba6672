import Engine
import Testing

@Suite struct MemoryPlanTests {
  private static let stages = Strategy.allCases.map { TinyViT.stage($0) }

  @Test(arguments: Strategy.allCases, [3, 6, 9, 30]) func slicesChangeNotABit(
    strategy: Strategy, slice: Int
  ) {
    let stage = TinyViT.stage(strategy)
    var results: [(losses: [Float], parameters: [Float])] = []
    for size in [nil, slice] {
      var options = TinyViT.options(alignment: 0.3, proximal: 0.1, batch: 13)
      options.slice = size
      let trainer = TinyViT.trainer(stage, options, workers: 2, seed: 81)
      let views = RandomViews(seed: 82, count: 13)
      let losses = (0..<3).map { _ in trainer.step(on: views, learningRate: 1e-2) }
      results.append((losses, trainer.parameters[stage.model.layout.range].array()))
    }
    #expect(results[0].losses == results[1].losses)
    #expect(results[0].parameters == results[1].parameters)
  }

  @Test(arguments: Strategy.allCases) func fitsIntoWhatIsAllowedOrSaysWhatItNeeds(strategy: Strategy) throws {
    let stage = TinyViT.stage(strategy)
    let options = TinyViT.options(batch: 64, chunk: 8)
    let whole = MemoryPlan(stage, options, workers: 2).bytes
    let fitted = try MemoryPlan.fit(stage, options, workers: 2, allowed: whole)
    #expect(fitted.chunk == options.chunk && fitted.slice == options.slice)
    let least = try #require(
      throws: MemoryPlan.TooSmall.self,
      performing: { try MemoryPlan.fit(stage, options, workers: 2, allowed: 1) }
    ).needed
    #expect(least < whole)
    for allowed in stride(from: least, to: whole, by: max((whole - least) / 50, 1)) {
      let fitted = try MemoryPlan.fit(stage, options, workers: 2, allowed: allowed)
      #expect(MemoryPlan(stage, fitted, workers: 2).bytes <= allowed)
      #expect(fitted.batch == options.batch, "the batch is the method's, not the memory's")
    }
    #expect(throws: MemoryPlan.TooSmall.self) {
      try MemoryPlan.fit(stage, options, workers: 2, allowed: least - 1)
    }
  }

  /// AdamW keeps two values for each trained parameter, SGD and LARS one.
  @Test func anOptimiserTakesItsMoments() {
    let stage = Self.stages[0]
    let bytes = OptimiserKind.allCases.map { kind in
      var options = TinyViT.options()
      options.optimiser = kind
      return MemoryPlan(stage, options, workers: 1).bytes
    }
    #expect(bytes[0] - bytes[1] == 4 * stage.count && bytes[1] == bytes[2])
  }

  @Test func layerWiseTakesATenthOfEndToEnd() {
    let tiny = EncoderConfiguration(image: 32, patch: 4, width: 192, depth: 12, heads: 3)
    let options = TrainingOptions(batch: 256, schedule: LearningRateSchedule(rate: 1))
    let layerWise = Stage(
      .layerWise, index: 12, tiny, objective: .contrastive(HeadConfiguration()))
    let endToEnd = Stage(.endToEnd, index: 1, tiny, objective: .contrastive(HeadConfiguration()))
    let ratio =
      Double(MemoryPlan(endToEnd, options, workers: 2).bytes)
      / Double(MemoryPlan(layerWise, options, workers: 2).bytes)
    #expect(ratio > 10, "ratio \(ratio)")
  }
}
