import Engine
import Federation
import Testing

@Suite struct RegulariserExampleTests {
  private func options(_ penalties: [any WeightPenalty]) -> TrainingOptions {
    var options = TinyViT.options()
    options.regularisers += penalties.map { .weights($0) }
    return options
  }

  @Test func thePenaltyHasItsGradient() {
    let ranges = [0..<20, 30..<47]
    let weights = Storage(0..<50)
    let gradients = Storage(0..<50)
    var random = RandomNumbers(31, "weights")
    weights.all.draw(&random)
    let penalty = Lasso(weight: 0.3)
    /// Σ |w| over the ranges, in Double.
    func value() -> Double { ranges.reduce(0) { $0 + weights[$1].doubles.reduce(0) { $0 + abs($1) } } * 0.3 }
    let loss = penalty.loss(weights, reference: weights, ranges: ranges, adding: gradients)
    #expect(abs(Double(loss) - value()) < 1e-5, "seed 31")
    FiniteDifferences(seed: 31).expect([
      Differentiable("weights", weights.all, gradient: gradients.all.array())
    ]) { value() }
    weights.clear()
    gradients.clear()
    #expect(penalty.loss(weights, reference: weights, ranges: ranges, adding: gradients) == 0)
    #expect(gradients.all.array().allSatisfy { $0 == 0 })
  }

  /// The trainer adds the term to the loss, and its gradient to those of all trained parameters.
  @Test(arguments: Strategy.allCases) func isATermOfTheLoss(strategy: Strategy) throws {
    let (stage, views) = (TinyViT.stage(strategy), RandomViews(seed: 32, count: 5))
    let plain = TinyViT.trainer(stage, options([]), seed: 33)
    let trainer = TinyViT.trainer(stage, options([Lasso(weight: 0.01)]), seed: 33)
    let (without, with) = (plain.terms(on: views), trainer.terms(on: views))
    #expect(with.terms.map(\.name) == ["contrastive", "lasso"] && with.terms[0] == without.terms[0])
    let sum = stage.trainedValues(of: trainer.parameters).reduce(0.0) { $0 + Double($1.magnitude) }
    let term = try #require(with.terms.last)
    #expect(abs(Double(term.value) - 0.01 * sum) < 1e-5 * sum && with.total == without.total + term.value)
    for entry in stage.entries {
      let weights = trainer.parameters[entry.slot].array()
      let gradients = zip(trainer.gradient(entry.slot).array(), plain.gradient(entry.slot).array())
      for (weight, (got, before)) in zip(weights, gradients) {
        #expect(abs(got - before - (weight < 0 ? -0.01 : 0.01)) < 1e-5, "\(entry.name), seeds 32 and 33")
      }
    }
  }

  @Test func plansTakeIt() throws {
    var plan = Plan(encoder: TinyViT.encoder, heads: TinyViT.heads)
    plan.method.alignment = 0
    plan.method.regularisers[LassoSettings.self] = LassoSettings()
    let options = plan.trainingOptions(.whole, stage: 1, images: 8)
    let penalty = try #require(options.weightPenalties.first as? Lasso)
    #expect(options.regularisers.count == 1 && penalty.weight == 0.01)
    let field = try #require(LassoSettings.fields.first)
    #expect(field.path == "method.lasso.weight" && field.standard == "`0.01`")
  }

  @Test func trainingMakesTheWeightsSmaller() {
    let sizes = [0, 0.1 as Float].map { weight in
      let trainer = TinyViT.trainer(
        TinyViT.stage(.layerWise), options(weight > 0 ? [Lasso(weight: weight)] : []), seed: 34)
      _ = trainer.train(RandomViews(seed: 35, count: 100), seed: 36)
      return trainer.stage.trainedValues(of: trainer.parameters).reduce(0) { $0 + $1.magnitude }
    }
    #expect(sizes[1] < 0.9 * sizes[0], "\(sizes), seeds 34 to 36")
  }
}
