import Engine
import Testing

/// Stages that train any set of blocks, with frozen ones above them.
@Suite struct FrozenAboveTests {
  /// Returns a stage of the whole encoder that trains these blocks.
  private func stage(
    _ encoder: EncoderConfiguration, _ trained: [Int], stem: Bool, _ objective: ObjectiveKind = .simclr
  ) -> Stage {
    Stage(
      index: 1, Stage.Content(blocks: Array(0..<encoder.depth), training: trained, stem: stem, lap: 2),
      encoder, objective: objective.configuration(ObjectiveSettings(heads: TinyViT.heads)))
  }

  private static let sets: [(trained: [Int], stem: Bool)] = [
    ([0], false), ([0], true), ([1], false), ([0, 2], false), ([], true), ([2], false), ([], false),
  ]

  /// A gradient passes frozen layers like trained ones: that of a parameter does not depend on which others train.
  @Test(arguments: sets, [TinyViT.encoder, TinyResNet.encoder])
  func gradientsAreThoseOfTheWholeTraining(
    set: (trained: [Int], stem: Bool), encoder: EncoderConfiguration
  ) {
    let stage = stage(encoder, set.trained, stem: set.stem)
    let options = TinyViT.options(batch: 5)
    let seed: UInt64 = 311
    let isViT = encoder == TinyViT.encoder
    // A frozen prefix of a ResNet normalises with its running statistics, unlike a training.
    guard isViT || set.stem else { return }
    func trainer(_ stage: Stage) -> Trainer {
      isViT
        ? TinyViT.trainer(stage, options, workers: 2, seed: seed)
        : TinyResNet.trainer(stage, options, workers: 2, seed: seed)
    }
    let (some, all) = (trainer(stage), trainer(stage.trainingEverything))
    let losses = [some, all].map { trainer in
      isViT
        ? trainer.step(on: RandomViews(seed: seed, count: 5)) : trainer.step(on: TinyResNet.views(seed))
    }
    #expect(losses[0] == losses[1])
    for entry in stage.entries {
      #expect(
        some.gradient(entry.slot).array() == all.gradient(entry.slot).array(), "\(entry.name), \(set)")
    }
  }

  @Test(arguments: sets, [ObjectiveKind.simclr, .mocov3, .byol])
  func whatIsFrozenKeepsItsBits(set: (trained: [Int], stem: Bool), objective: ObjectiveKind) {
    for encoder in [TinyViT.encoder, TinyResNet.encoder] {
      let stage = stage(encoder, set.trained, stem: set.stem, objective)
      let results = [1, 2, 3].map { workers in
        let options = TinyViT.options(alignment: 0.4, proximal: 0.1)
        let trainer = TinyViT.trainer(stage, options, workers: workers, seed: 312)
        let before = trainer.parameters.all.bits
        for _ in 0..<2 {
          _ =
            encoder == TinyViT.encoder
            ? trainer.step(on: RandomViews(seed: 313, count: 5), learningRate: 1e-2)
            : trainer.step(on: TinyResNet.views(313), learningRate: 1e-2)
        }
        let after = trainer.parameters.all.bits
        let trained = Set(stage.entries.map(\.name))
        for entry in stage.model.layout.entries {
          let isSame = after[entry.slot.range] == before[entry.slot.range]
          #expect(isSame == !trained.contains(entry.name), "\(entry.name), \(set), seed 312")
        }
        return after
      }
      #expect(results[1] == results[0] && results[2] == results[0], "\(set)")
    }
  }

  /// Features of the prefix give the same result as the images, also with frozen blocks above the trained ones.
  @Test func featuresStandForImages() {
    let stage = stage(TinyViT.encoder, [1], stem: false)
    #expect(stage.prefixDepth == 1 && stage.prefixParts.map(\.name) == ["stem", "blocks.0"])
    #expect(stage.ranges.count == 2 && stage.count < stage.model.layout.count)
    #expect(stage.parts.map(\.name) == ["blocks.1", "norm", "projector"])
    let images = TinyViT.trainer(stage, TinyViT.options(), seed: 314)
    let values = stage.trainedValues(of: images.parameters)
    #expect(values.count == stage.count)
    #expect(values.suffix(stage.headRange.count) == images.parameters[stage.headRange].array()[...])
  }

  /// A frozen block above a trained one costs its forward pass and the gradient of its input, but not that of its
  /// weights.
  @Test func operationsCountWhatIsComputed() {
    let (lower, upper) = (
      stage(TinyViT.encoder, [0], stem: false), stage(TinyViT.encoder, [0, 1], stem: false)
    )
    let block = lower.model.encoder.operations.blocks[1]
    #expect(
      OperationCount.step(upper, batch: 1, branches: 0) - OperationCount.step(lower, batch: 1, branches: 0)
        == 2 * block)
  }
}
