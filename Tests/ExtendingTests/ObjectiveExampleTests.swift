import Engine
import Federation
import Foundation
import Testing

@Suite struct ObjectiveExampleTests {
  /// The loss by its formula, in Double.
  private func reference(_ z: Matrix) -> Double {
    let batch = z.rows / 2
    let rows = (0..<z.rows).map { r in
      let row = z.rows(r..<r + 1).doubles
      let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return row.map { $0 / length }
    }
    func distance(_ a: Int, _ b: Int) -> Double {
      zip(rows[a], rows[b]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    let alignment = (0..<batch).reduce(0) { $0 + distance($1, batch + $1) } / Double(batch)
    let uniformity = [0, batch].map { first in
      let pairs = (0..<batch).flatMap { i in (0..<batch).filter { $0 != i }.map { (first + i, first + $0) } }
      return log(pairs.reduce(0) { $0 + exp(-2 * distance($1.0, $1.1)) } / Double(pairs.count))
    }
    return alignment + (uniformity[0] + uniformity[1]) / 2
  }

  @Test(arguments: [(2, 3), (5, 7), (9, 16)]) func theLossHasItsGradient(batch: Int, width: Int) {
    var layout = Layout(alignment: 16)
    let loss = AlignmentUniformity(batch: batch, width: width, in: &layout)
    let (zs, dzs) = (layout.add("z", 2 * batch, width), layout.add("dz", 2 * batch, width))
    let work = Storage(layout)
    let (z, dz) = (work[zs], work[dzs])
    var random = RandomNumbers(11, "projections", batch, width)
    z.draw(&random)
    let value = Double(loss.loss(z, adding: dz, work))
    #expect(abs(value - reference(z)) < 1e-5 * max(abs(value), 1), "seed 11")
    FiniteDifferences(seed: 11).expect([
      Differentiable("z1", z.rows(0..<batch), gradient: dz.rows(0..<batch).array()),
      Differentiable("z2", z.rows(batch..<2 * batch), gradient: dz.rows(batch..<2 * batch).array()),
    ]) { reference(z) }
  }

  private func stage(_ strategy: Strategy) -> Stage {
    Stage(
      strategy, index: strategy.hasSingleStage ? 1 : 2, TinyViT.encoder,
      objective: ObjectiveKind.uniformity.configuration(ObjectiveSettings(heads: TinyViT.heads)))
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
    #expect(terms.terms.map(\.name) == ["alignment and uniformity", "alignment"])
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
    plan.method.objective = .uniformity
    let model = plan.stage(1).model
    #expect(model.objective is UniformityObjective && model.objective.views == 2)
    #expect(plan.yaml().contains("\n  objective: uniformity\n"))
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
    #expect(losses.count == 36 && last < first - 0.2, "\(first) to \(last), seeds 17 to 19")
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
