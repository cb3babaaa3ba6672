import Engine
import Testing

@Suite struct DivergenceTests {
  @Test(
    arguments: [
      (9999, 0.5, false), (10_001, 0.5, true), (10_001, 2, false), (20_001, 2, true), (0, 0, false),
      (.nan, 1, true), (.infinity, 1, true), (.infinity, .infinity, true), (1, .nan, true), (3e38, 1, true),
    ] as [(Float, Float, Bool)])
  func aWeightMayGrowTenThousandfold(largest: Float, before: Float, isReached: Bool) {
    #expect(Divergence.isReached(largest, after: before) == isReached)
  }

  /// A training with any numbers completes, and reports divergence.
  @Test(arguments: [ObjectiveKind.simclr, .mocov3, .byol])
  func aTrainingThatDivergesSaysSo(objective: ObjectiveKind) {
    let stage = Stage(
      .layerWise, index: 2, TinyViT.encoder,
      objective: objective.configuration(ObjectiveSettings(heads: TinyViT.heads)))
    var options = TinyViT.options(alignment: 0.5, epochs: 3)
    #expect(!trained(stage, options).hasDiverged)
    (options.schedule, options.weightDecay) = (LearningRateSchedule(rate: 1e6), 1)
    #expect(trained(stage, options).hasDiverged)
  }

  private func trained(_ stage: Stage, _ options: TrainingOptions) -> Trainer {
    let trainer = TinyViT.trainer(stage, options, seed: 191)
    _ = trainer.train(RandomViews(seed: 191, count: 15), seed: 191)
    _ = trainer.monitors
    return trainer
  }

  /// The largest permitted weights are still a valid base for training; a ResNet's running variances, which grow with
  /// the square, are detected by the next training.
  @Test(arguments: [
    TinyViT.encoder,
    EncoderConfiguration(
      ResNetConfiguration(images: ImageInput(side: 8), width: 4, depth: 2)),
  ])
  func fromWhateverPassesTheNextRoundCanTrain(encoder: EncoderConfiguration) {
    for objective in [ObjectiveKind.simclr, .mocov3, .byol] {
      let stage = Stage(
        .endToEnd, index: 1, encoder,
        objective: objective.configuration(ObjectiveSettings(heads: TinyViT.heads)))
      let options = TinyViT.options(alignment: 0.5, epochs: 2)
      let trainer = TinyViT.trainer(stage, options, seed: 193)
      let weights = trainer.parameters.all
      let largest = Elementwise.largestMagnitude(weights)
      for index in 0..<weights.count { weights.start[index] *= Divergence.mostGrowth }
      #expect(!Divergence.isReached(Elementwise.largestMagnitude(weights), after: max(largest, 1.01)))
      trainer.begin()
      let summary = trainer.train(RandomViews(seed: 193, count: 15), seed: 193)
      #expect(summary.loss.isFinite, "\(objective), seed 193")
      #expect(!trainer.hasDiverged || encoder.family == .resnet, "\(objective), seed 193")
    }
  }

  /// An invalid model does not end the process.
  @Test(arguments: [Float.nan, .infinity, 3e38]) func aTrainingFromSuchAModelGoesThrough(weight: Float) {
    let trainer = TinyViT.trainer(TinyViT.stage(.endToEnd), TinyViT.options(alignment: 0.5), seed: 192)
    Elementwise.fill(trainer.parameters.all, weight)
    trainer.begin()
    let summary = trainer.train(RandomViews(seed: 192, count: 15), seed: 192)
    #expect(!summary.loss.isFinite && trainer.monitors == nil)
  }
}
