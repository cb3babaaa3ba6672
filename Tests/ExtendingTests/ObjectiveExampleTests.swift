import Engine
import Federation
import Testing

@Suite struct ObjectiveExampleTests {
  /// The loss by its formula, in Double.
  private func reference(_ z: Matrix, weight: Double) -> Double {
    let (batch, width, values) = (z.rows / 2, z.columns, z.doubles)
    func element(_ row: Int, _ column: Int) -> Double { values[row * width + column] }
    var loss = 0.0
    for i in 0..<width {
      for j in 0..<width {
        let c = (0..<batch).reduce(0) { $0 + element($1, i) * element(batch + $1, j) } / Double(batch)
        loss += i == j ? (1 - c) * (1 - c) : weight * c * c
      }
    }
    return loss
  }

  /// Batch, width, weight.
  @Test(arguments: [(2, 3, 0.5), (5, 7, 5e-3), (9, 16, 1)] as [(Int, Int, Float)])
  func theLossHasItsGradient(batch: Int, width: Int, weight: Float) {
    var layout = Layout(alignment: 16)
    let loss = CrossCorrelation(width: width, weight: weight, in: &layout)
    let (zs, dzs) = (layout.add("z", 2 * batch, width), layout.add("dz", 2 * batch, width))
    let work = Storage(layout)
    let (z, dz) = (work[zs], work[dzs])
    var random = RandomNumbers(11, "projections", batch, width)
    z.draw(&random)
    let value = Double(loss.loss(z, adding: dz, work))
    #expect(abs(value - reference(z, weight: Double(weight))) < 1e-4 * value, "seed 11")
    FiniteDifferences(seed: 11).expect([
      Differentiable("z1", z.rows(0..<batch), gradient: dz.rows(0..<batch).array()),
      Differentiable("z2", z.rows(batch..<2 * batch), gradient: dz.rows(batch..<2 * batch).array()),
    ]) { reference(z, weight: Double(weight)) }
  }

  private func stage(_ strategy: Strategy) -> Stage {
    Stage(
      strategy, index: strategy.hasSingleStage ? 1 : 2, TinyViT.encoder,
      objective: ObjectiveKind.barlowTwins.configuration(ObjectiveSettings(heads: TinyViT.heads)))
  }

  /// The whole step, differentiated with respect to all trained parameters.
  @Test(arguments: Strategy.allCases) func theStepHasItsGradients(strategy: Strategy) throws {
    let stage = stage(strategy)
    let trainer = TinyViT.trainer(stage, TinyViT.options(alignment: 0.1, batch: 7), seed: 12)
    let objective = try #require(stage.model.objective as? any ProjectionObjective)
    // Large weights make images differ, and large biases keep the heads' ReLUs from their kinks.
    TinyViT.nudge(trainer, [0..<stage.model.encoderRange.upperBound], by: 0.3, seed: 13)
    for affine in objective.projectionHeads.flatMap(\.norms).compactMap(\.affine) {
      Elementwise.fill(trainer.parameters[affine.bias], 4)
    }
    trainer.begin()
    TinyViT.nudge(trainer, stage.ranges, seed: 14)
    let views = RandomViews(seed: 15, count: 7)
    let terms = trainer.terms(on: views)
    #expect(terms.terms.map(\.name) == ["cross-correlation", "alignment"])
    // A normalisation removes a shift of all images: that of the encoder's, and behind ReLUs that are all open that of
    // the projector's own biases.
    let shifts = ["norm.bias", "projector.1.bias", "projector.4.bias"]
    let slots = stage.entries.map {
      Differentiable(
        $0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array(),
        vanishes: shifts.contains($0.name))
    }
    FiniteDifferences(seed: 16, tolerance: 0.02).expect(slots) { Double(trainer.step(on: views)) }
  }

  @Test func plansTakeIt() {
    var plan = Plan(encoder: TinyViT.encoder, heads: TinyViT.heads)
    plan.method.objective = .barlowTwins
    let model = plan.stage(1).model
    #expect(model.objective is BarlowTwinsObjective && model.objective.views == 2)
    #expect(plan.yaml().contains("\n  objective: barlow-twins\n"))
  }

  @Test func trainingLowersTheLoss() throws {
    let trainer = TinyViT.trainer(
      stage(.layerWise), TinyViT.options(batch: 8, epochs: 12), workers: 2, seed: 17)
    let views = RandomViews(seed: 18, count: 24)
    var losses: [Float] = []
    _ = trainer.train(views, seed: 19) { _, _, loss in
      losses.append(loss)
      return true
    }
    let (first, last) = (losses.prefix(3).reduce(0, +) / 3, losses.suffix(3).reduce(0, +) / 3)
    #expect(losses.count == 36 && last < 0.8 * first, "\(first) to \(last), seeds 17 to 19")
    let monitors = try #require(trainer.monitors)
    #expect(!monitors.isCollapsed, "\(monitors)")
  }

  @Test func workersDoNotChangeABit() {
    let results = [1, 2, 3].map { workers in
      let trainer = TinyViT.trainer(stage(.progressive), TinyViT.options(), workers: workers, seed: 20)
      _ = trainer.train(RandomViews(seed: 21, count: 15), seed: 22)
      return trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }
}
