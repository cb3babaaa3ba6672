import Engine
import Testing

/// Local views: the shares of the loss, and what they cost. The golden cases local_views_* have their gradients.
@Suite struct LocalViewsTests {
  private static let encoder = EncoderConfiguration(image: 8, patch: 2, width: 12, depth: 3, heads: 3)
  private static let kinds = [ObjectiveKind.simclr, .mocov3, .byol, .vicreg, .barlow]

  private static func stage(_ kind: ObjectiveKind, _ strategy: Strategy) -> Stage {
    Stage(
      strategy, index: strategy.hasSingleStage ? 1 : 2, encoder,
      objective: kind.configuration(ObjectiveSettings(heads: TinyViT.heads)))
  }

  private static func options(_ count: Int, batch: Int = 5, alignment: Float = 0) -> TrainingOptions {
    var options = TinyViT.options(alignment: alignment, batch: batch)
    options.localViews = count > 0 ? LocalViews(count: count, size: 4) : nil
    return options
  }

  /// The global views' part of the loss has the share that local views leave; regularisers keep theirs.
  @Test(arguments: kinds) func eachComparisonHasItsShare(kind: ObjectiveKind) {
    let stage = Self.stage(kind, .layerWise)
    let terms = [0, 3].map { count in
      let trainer = TinyViT.trainer(stage, Self.options(count, alignment: 0.3), seed: 171)
      return trainer.terms(on: SizedViews(seed: 172, count: 5)).terms
    }
    #expect(terms[1].contains { $0.name == "local views" && $0.value.isFinite })
    for term in terms[0] {
      let share: Float = term.name == "alignment" ? 1 : 0.25
      let other = terms[1].first { $0.name == term.name }?.value ?? .nan
      #expect(abs(other - share * term.value) < 1e-5 * max(1, abs(term.value)), "\(term.name)")
    }
  }

  @Test(arguments: kinds, [3, 6]) func slicesChangeNotABit(kind: ObjectiveKind, slice: Int) {
    var results: [[UInt32]] = []
    for size in [nil, slice] {
      var options = Self.options(2, batch: 7)
      options.slice = size
      let trainer = TinyViT.trainer(Self.stage(kind, .progressive), options, workers: 2, seed: 173)
      for _ in 0..<3 { _ = trainer.step(on: SizedViews(seed: 174, count: 7), learningRate: 1e-2) }
      results.append(trainer.parameters.all.bits)
    }
    #expect(results[0] == results[1])
  }

  @Test(arguments: kinds) func workersDoNotChangeABit(kind: ObjectiveKind) {
    let results = [1, 2, 3].map { workers in
      let trainer = TinyViT.trainer(
        Self.stage(kind, .layerWise), Self.options(3), workers: workers, seed: 175)
      _ = trainer.train(SizedViews(seed: 176, count: 15), seed: 177)
      return trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  /// A local view of 4 x 4 pixels has 5 tokens instead of 17.
  @Test func localViewsCostTheirTokens() {
    let stage = Self.stage(.simclr, .layerWise)
    let steps = [nil, LocalViews(count: 1, size: 4), LocalViews(count: 3, size: 4)].map {
      OperationCount.step(stage, batch: 10, branches: 0, localViews: $0)
    }
    let (t, d, h) = (5, 12, 3)
    let block = 2 * t * d * 12 * d + 4 * t * t * d
    let last = 8 * d * d + 4 * t * d * h + 16 * d * d
    let local = 2 * 4 * 12 * d + block + 3 * last + stage.model.objective.operations(passes: 3)
    #expect(steps[1] - steps[0] == 10 * local && steps[2] - steps[0] == 30 * local)
  }

  @Test func localViewsNeedMemory() {
    let stage = Self.stage(.simclr, .endToEnd)
    let bytes = [0, 1, 2].map { MemoryPlan(stage, Self.options($0, batch: 64), workers: 1).bytes }
    // Traces of 5 of 17 tokens for each of 64 images.
    #expect(bytes[0] < bytes[1] && bytes[2] - bytes[1] < (bytes[0] / 3))
  }
}

/// Images of 8 x 8 pixels as views 0 and 1, and of 4 x 4 as further ones.
private struct SizedViews: RowSource {
  let seed: UInt64
  let count: Int

  func write(view: Int, image: Int, epoch: Int, worker: Int, into pixels: UnsafeMutablePointer<Float>) {
    var own = RandomNumbers(seed, "image", image)
    var noise = RandomNumbers(seed, "noise", view, image, epoch)
    for index in 0..<(view > 1 ? 3 * 16 : 3 * 64) { pixels[index] = own.normal() + 0.5 * noise.normal() }
  }
}
