import Engine
import Testing

/// Compares the whole method with finite differences: the loss of a step, differentiated with respect to all trained
/// parameters. The rate is 0, so that the parameters stay.
///
/// With the chosen seeds, no ReLU is so close to its kink that no step is short enough.
@Suite struct TrainerGradientsTests {
  /// Checks every trained slot. `nudged` moves the parameters from the global model, so that regularisers have a
  /// gradient.
  private func expectGradients(
    _ stage: Stage, _ options: TrainingOptions, nudged: Bool, seed: UInt64,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let trainer = TinyViT.trainer(stage, options, seed: seed)
    // Weights this large make images differ; otherwise batch normalisation would amplify tiny differences.
    TinyViT.nudge(trainer, [0..<stage.model.encoderRange.upperBound], by: 0.3, seed: seed)
    let objective = stage.model.objective as? ContrastiveObjective
    for affine in objective?.projector.norms.compactMap(\.affine) ?? [] {
      trainer.parameters.keepFromKinks(affine, mixed: 10)
    }
    trainer.begin()
    if nudged { TinyViT.nudge(trainer, stage.ranges, seed: seed + 1) }
    let views = RandomViews(seed: seed, count: options.batch)
    let before = trainer.parameters.all.bits
    _ = trainer.step(on: views)
    let trained = stage.entries
    let slots = trained.map {
      // The final normalisation's bias shifts all images equally, which the projector's first normalisation removes.
      Differentiable(
        $0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array(),
        vanishes: $0.name == "norm.bias" && options.weightPenalties.isEmpty)
    }
    FiniteDifferences(seed: seed, tolerance: 0.02)
      .expect(slots, sourceLocation: sourceLocation) { Double(trainer.step(on: views)) }
    #expect(trainer.parameters.all.bits == before, "a step without a rate changed parameters, seed \(seed)")
    #expect(trained.reduce(0) { $0 + $1.slot.count } == stage.count)
  }

  @Test(arguments: [3, 18] as [UInt64]) func layerWiseWithAlignment(seed: UInt64) {
    expectGradients(
      TinyViT.stage(.layerWise), TinyViT.options(alignment: 0.7, batch: 7), nudged: true, seed: seed)
  }

  @Test(arguments: [16, 19] as [UInt64]) func layerWiseFirstStage(seed: UInt64) {
    let stage = Stage(
      .layerWise, index: 1, TinyViT.encoder, objective: .contrastive(TinyViT.heads))
    expectGradients(stage, TinyViT.options(alignment: 0.7, batch: 7), nudged: true, seed: seed)
  }

  @Test(arguments: [5, 11] as [UInt64]) func progressive(seed: UInt64) {
    expectGradients(TinyViT.stage(.progressive), TinyViT.options(batch: 7), nudged: false, seed: seed)
  }

  @Test(arguments: [16, 20] as [UInt64]) func endToEndWithProximalTerm(seed: UInt64) {
    expectGradients(
      TinyViT.stage(.endToEnd), TinyViT.options(proximal: 0.3, batch: 7), nudged: true, seed: seed)
  }

  @Test(arguments: [17, 19] as [UInt64]) func calibration(seed: UInt64) {
    let stage = TinyViT.stage(.layerWise).trainingEverything
    expectGradients(stage, TinyViT.options(batch: 7), nudged: false, seed: seed)
  }
}
