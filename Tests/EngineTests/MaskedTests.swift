import Engine
import Testing

/// Masked autoencoding: the encoder computes the shown patches alone, and a decoder predicts the hidden ones.
@Suite struct MaskedTests {
  /// Images of 16 patches of 12 values.
  private static let encoder = EncoderConfiguration(image: 8, patch: 2, width: 12, depth: 3, heads: 3)
  private static let settings = MaskedConfiguration.Settings(ratio: 0.75, width: 8, blocks: 1, heads: 2)

  private static func stage(_ strategy: Strategy, _ settings: MaskedConfiguration.Settings = settings) throws
    -> Stage
  {
    let shape = try #require(encoder.value as? ViTConfiguration)
    return Stage(
      strategy, index: strategy.hasSingleStage ? 1 : 2, encoder,
      objective: ObjectiveKind.masked.configuration(
        ObjectiveSettings(masked: MaskedConfiguration(settings, for: shape))))
  }

  @Test func theRatioIsHidden() throws {
    let shape = try #require(Self.encoder.value as? ViTConfiguration)
    for (ratio, shown) in [(0.75, 4), (0.5, 8), (0.9, 1), (0.99, 1), (0.01, 15), (0.3, 11)] as [(Float, Int)]
    {
      let masked = MaskedConfiguration(MaskedConfiguration.Settings(ratio: ratio), for: shape)
      #expect(masked.shown == shown && masked.hidden == 16 - shown, "\(ratio)")
    }
  }

  /// Each patch is shown equally often, and each epoch and seed shows others.
  @Test func patchesAreDrawn() {
    var (counts, draws) = (Array(repeating: 0, count: 16), Set<[Int32]>())
    for seed in 0..<20 as Range<UInt64> {
      for image in 0..<10 {
        for epoch in 0..<10 {
          let shown = [Int32](unsafeUninitializedCapacity: 4) { buffer, count in
            MaskViews(seed: seed, count: 10).writeShown(of: 16, image: image, epoch: epoch, into: buffer)
            count = 4
          }
          #expect(
            shown == shown.sorted() && Set(shown).count == 4 && shown.allSatisfy { (0..<16).contains($0) })
          for patch in shown { counts[Int(patch)] += 1 }
          draws.insert(shown)
        }
      }
    }
    // 2000 draws of a quarter, with a deviation of 19.
    #expect(counts.allSatisfy { abs($0 - 500) < 100 }, "\(counts)")
    #expect(draws.count > 900, "of the 1820 that there are")
  }

  /// The whole step, differentiated with respect to all trained parameters.
  @Test(arguments: Strategy.allCases) func theStepHasItsGradients(strategy: Strategy) throws {
    let stage = try Self.stage(strategy)
    let trainer = TinyViT.trainer(stage, TinyViT.options(proximal: 0.1, batch: 7), seed: 151)
    TinyViT.nudge(trainer, stage.ranges, seed: 152)
    let views = MaskViews(seed: 153, count: 7)
    let terms = trainer.terms(on: views)
    #expect(terms.terms.map(\.name) == ["reconstruction", "proximal"] && terms.total.isFinite)
    let slots = stage.entries.map {
      Differentiable($0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array())
    }
    FiniteDifferences(seed: 154, tolerance: 0.02).expect(slots) { Double(trainer.step(on: views)) }
  }

  /// Hidden patches are targets and nothing else: a frozen encoder's outputs do not depend on them.
  @Test(arguments: Strategy.allCases) func hiddenPatchesAreNotSeen(strategy: Strategy) throws {
    let stage = try Self.stage(strategy)
    let trainer = TinyViT.trainer(stage, TinyViT.options(batch: 6), seed: 155)
    // Without weights the predictions are the bias: only the targets matter, and the encoder has no gradient.
    let objective = try #require(stage.model.objective as? MaskedObjective)
    Elementwise.fill(trainer.parameters[objective.decoder.prediction.weight], 0)
    Elementwise.fill(trainer.parameters[objective.decoder.prediction.bias ?? objective.decoder.maskToken], 0)
    trainer.begin()
    // The values of a normalised patch have a variance of (N - 1) / N.
    #expect(abs(trainer.step(on: MaskViews(seed: 156, count: 6)) - 11.0 / 12) < 1e-3)
    for entry in stage.entries where !entry.name.hasPrefix("decoder.pred") {
      #expect(trainer.gradient(entry.slot).array().allSatisfy { $0 == 0 }, "\(entry.name)")
    }
  }

  @Test(arguments: Strategy.allCases, [3, 6, 9]) func slicesChangeNotABit(strategy: Strategy, slice: Int)
    throws
  {
    let stage = try Self.stage(strategy)
    var results: [[UInt32]] = []
    for size in [nil, slice] {
      var options = TinyViT.options(batch: 13)
      options.slice = size
      let trainer = TinyViT.trainer(stage, options, workers: 2, seed: 157)
      for epoch in 0..<3 {
        let images = Minibatch(MaskViews(seed: 158, count: 13), first: 13, epoch: epoch)
        _ = trainer.step(learningRate: 1e-2, images)
      }
      results.append(trainer.parameters.all.bits)
    }
    #expect(results[0] == results[1])
  }

  @Test func workersDoNotChangeABit() throws {
    let stage = try Self.stage(.progressive)
    let results = [1, 2, 3].map { workers in
      let trainer = TinyViT.trainer(stage, TinyViT.options(), workers: workers, seed: 159)
      _ = trainer.train(MaskViews(seed: 160, count: 35), seed: 161)
      return trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  @Test(arguments: Strategy.allCases) func trainingLowersTheLoss(strategy: Strategy) throws {
    let trainer = TinyViT.trainer(
      try Self.stage(strategy), TinyViT.options(batch: 8, epochs: 30), workers: 2, seed: 162)
    var losses: [Float] = []
    _ = trainer.train(MaskViews(seed: 163, count: 16), seed: 164) { _, _, loss in
      losses.append(loss)
      return true
    }
    let (first, last) = (losses.prefix(3).reduce(0, +) / 3, losses.suffix(3).reduce(0, +) / 3)
    #expect(losses.count == 60 && last < 0.95 * first, "\(first) to \(last), seeds 162 to 164")
  }

  /// Frozen and trained blocks compute the class token and the shown patches: 5 tokens of 17.
  @Test func hiddenPatchesCostNothingInTheEncoder() throws {
    let stage = try Self.stage(.layerWise)
    let decoder = try #require(stage.model.objective as? MaskedObjective).decoder
    let (tokens, width) = (5, 12)
    let block = 2 * tokens * width * 12 * width + 4 * tokens * tokens * width
    let image = 2 * 4 * 12 * width + block + 3 * block + 3 * decoder.operations
    #expect(OperationCount.step(stage, batch: 10, branches: 0) == 10 * image)
    let all = stage.model.encoder.operations
    #expect(all.blocks[0] == 2 * 17 * width * 12 * width + 4 * 17 * 17 * width)
  }

  /// The traces are of shown patches, so a stage needs less memory than with all of them.
  @Test func hiddenPatchesNeedNoMemory() throws {
    let options = TinyViT.options(batch: 64)
    let bytes = try [0.75, 0.25 as Float].map { ratio in
      let stage = try Self.stage(.endToEnd, MaskedConfiguration.Settings(ratio: ratio, width: 8, heads: 2))
      let plan = MemoryPlan(stage, options, workers: 1)
      return plan.entries.first { $0.name == "traces" }?.bytes ?? 0
    }
    #expect(bytes[0] > 0 && 2 * bytes[0] < bytes[1], "\(bytes)")
  }
}

/// Images with structure: each has a plane wave, so that hidden patches follow from shown ones.
private struct MaskViews: RowSource {
  let seed: UInt64
  let count: Int

  func write(view: Int, image: Int, epoch: Int, worker: Int, into pixels: UnsafeMutablePointer<Float>) {
    var random = RandomNumbers(seed, "image", image)
    let (across, down) = (random.uniform(-1, 1), random.uniform(-1, 1))
    for index in 0..<3 * 64 {
      let (x, y) = (Float(index % 8), Float(index / 8 % 8))
      let phase = across * x + down * y
      pixels[index] = phase - phase.rounded() + 0.1 * random.normal()
    }
  }
}
