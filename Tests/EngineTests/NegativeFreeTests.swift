import Engine
import Testing

/// The losses of two views without negative pairs: VICReg and Barlow Twins.
@Suite struct NegativeFreeTests {
  /// Projections of two views, and the memory of their gradient.
  private struct Fixture {
    let work: StorageBox
    let z, dz: Matrix

    init(batch: Int, width: Int, deviation: Float = 1, seed: UInt64, _ make: (inout Layout) -> Void) {
      var layout = Layout(alignment: 16)
      make(&layout)
      let (z, dz) = (layout.add("z", 2 * batch, width), layout.add("dz", 2 * batch, width))
      work = StorageBox(layout.range)
      (self.z, self.dz) = (work.storage[z], work.storage[dz])
      var random = RandomNumbers(seed, "projections", batch, width)
      self.z.draw(&random, deviation: deviation)
    }
  }

  /// The columns of a view.
  private func columns(_ z: Matrix, _ rows: Range<Int>) -> [[Double]] {
    let values = z.doubles
    return (0..<z.columns).map { column in rows.map { values[$0 * z.columns + column] } }
  }

  private func product(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

  /// VICReg by its formula.
  private func vicreg(_ z: Matrix, _ weights: VICRegConfiguration) -> Double {
    let batch = z.rows / 2
    let views = [columns(z, 0..<batch), columns(z, batch..<2 * batch)]
    let width = Double(z.columns)
    let squares = zip(views[0], views[1]).reduce(0) { sum, pair in
      sum + zip(pair.0, pair.1).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    var loss = Double(weights.similarity) * squares / (width * Double(batch))
    for view in views {
      let centred = view.map { column in
        let mean = column.reduce(0, +) / Double(batch)
        return column.map { $0 - mean }
      }
      for i in centred.indices {
        for j in centred.indices {
          let covariance = product(centred[i], centred[j]) / Double(batch - 1)
          loss +=
            i == j
            ? Double(weights.variance) / 2 * max(0, 1 - (covariance + 1e-4).squareRoot()) / width
            : Double(weights.covariance) * covariance * covariance / width
        }
      }
    }
    return loss
  }

  /// Barlow Twins by its formula.
  private func barlow(_ z: Matrix, weight: Double) -> Double {
    let batch = z.rows / 2
    let (first, second) = (columns(z, 0..<batch), columns(z, batch..<2 * batch))
    var loss = 0.0
    for i in first.indices {
      for j in second.indices {
        let c = product(first[i], second[j]) / Double(batch)
        loss += i == j ? (1 - c) * (1 - c) : weight * c * c
      }
    }
    return loss
  }

  private func expect(
    _ f: Fixture, _ value: Double, seed: UInt64, sourceLocation: SourceLocation = #_sourceLocation,
    _ reference: () -> Double
  ) {
    #expect(
      abs(value - reference()) < 1e-5 * max(value, 1), "seed \(seed)", sourceLocation: sourceLocation)
    let batch = f.z.rows / 2
    FiniteDifferences(seed: seed).expect(
      [
        Differentiable("z1", f.z.rows(0..<batch), gradient: f.dz.rows(0..<batch).array()),
        Differentiable("z2", f.z.rows(batch..<2 * batch), gradient: f.dz.rows(batch..<2 * batch).array()),
      ], sourceLocation: sourceLocation, of: reference)
  }

  /// Batch, width, deviation: columns below, above and on both sides of the margin of 1.
  @Test(arguments: [(2, 3, 0.4), (5, 7, 2), (9, 16, 0.3), (12, 5, 1)] as [(Int, Int, Float)])
  func vicregHasItsGradient(batch: Int, width: Int, deviation: Float) {
    for weights in [
      VICRegConfiguration(), VICRegConfiguration(similarity: 0, variance: 3, covariance: 0),
      VICRegConfiguration(similarity: 0, variance: 0, covariance: 2),
    ] {
      var loss: VICRegLoss?
      let f = Fixture(batch: batch, width: width, deviation: deviation, seed: 131) {
        loss = VICRegLoss(batch: batch, width: width, weights, in: &$0)
      }
      guard let loss else { return }
      let terms = loss.loss(f.z, adding: f.dz, f.work.storage)
      // Without columns below the margin the loss and its gradient are 0.
      guard terms.total > 0 else { continue }
      expect(f, terms.total, seed: 131) { vicreg(f.z, weights) }
    }
  }

  /// Terms are added to a gradient, and a projection that is the same for all images is finite.
  @Test func vicregAddsToTheGradient() {
    var loss: VICRegLoss?
    let f = Fixture(batch: 4, width: 6, seed: 132) { loss = VICRegLoss(batch: 4, width: 6, in: &$0) }
    guard let loss else { return }
    let first = loss.loss(f.z, adding: f.dz, f.work.storage)
    let gradient = f.dz.array()
    #expect(loss.loss(f.z, adding: f.dz, f.work.storage) == first)
    for (twice, once) in zip(f.dz.array(), gradient) {
      #expect(abs(twice - 2 * once) < 1e-5 * max(1, abs(once)))
    }
    Elementwise.fill(f.z, 3)
    Elementwise.fill(f.dz, 0)
    let same = loss.loss(f.z, adding: f.dz, f.work.storage)
    // Both views have a deviation of √ε in every column.
    #expect(same.similarity == 0 && same.covariance == 0 && abs(same.variance - 25 * 0.99) < 1e-4)
    #expect(f.dz.array().allSatisfy { $0 == 0 })
  }

  /// Batch, width, weight.
  @Test(arguments: [(2, 3, 0.5), (5, 7, 5e-3), (9, 16, 1)] as [(Int, Int, Float)])
  func barlowHasItsGradient(batch: Int, width: Int, weight: Float) {
    var loss: CrossCorrelation?
    let f = Fixture(batch: batch, width: width, seed: 133) {
      loss = CrossCorrelation(width: width, BarlowConfiguration(offDiagonal: weight), in: &$0)
    }
    guard let loss else { return }
    let value = Double(loss.loss(f.z, adding: f.dz, f.work.storage))
    expect(f, value, seed: 133) { barlow(f.z, weight: Double(weight)) }
  }

  static let kinds = [ObjectiveKind.vicreg, .barlow]

  private func stage(_ kind: ObjectiveKind, _ strategy: Strategy) -> Stage {
    Stage(
      strategy, index: strategy.hasSingleStage ? 1 : 2, TinyViT.encoder,
      objective: kind.configuration(ObjectiveSettings(heads: TinyViT.heads)))
  }

  /// The whole step, differentiated with respect to all trained parameters.
  @Test(arguments: kinds, Strategy.allCases)
  func theStepHasItsGradients(kind: ObjectiveKind, strategy: Strategy) throws {
    let stage = stage(kind, strategy)
    let trainer = TinyViT.trainer(stage, TinyViT.options(alignment: 0.1, batch: 7), seed: 134)
    let objective = try #require(stage.model.objective as? any ProjectionObjective)
    // Large weights make images differ, and large biases keep the heads' ReLUs from their kinks.
    TinyViT.nudge(trainer, [0..<stage.model.encoderRange.upperBound], by: 0.3, seed: 135)
    for affine in objective.projectionHeads.flatMap(\.norms).compactMap(\.affine) {
      Elementwise.fill(trainer.parameters[affine.bias], 4)
    }
    trainer.begin()
    TinyViT.nudge(trainer, stage.ranges, seed: 136)
    let views = RandomViews(seed: 137, count: 7)
    let terms = trainer.terms(on: views)
    #expect(
      terms.terms.map(\.name)
        == (kind == .vicreg
          ? ["similarity", "variance", "covariance"] : ["cross-correlation"]) + ["alignment"])
    #expect(terms.terms.allSatisfy { $0.value.isFinite })
    // A normalisation removes a shift of all images: that of the encoder's, and behind ReLUs that are all open that of
    // the projector's biases. A shift of all projections matters to the alignment of VICReg alone.
    let shifts = ["norm.bias", "projector.1.bias", "projector.4.bias"]
    let slots = stage.entries.filter { !shifts.contains($0.name) }.map {
      Differentiable($0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array())
    }
    for entry in stage.entries
    where shifts.contains(entry.name) && (kind == .barlow || !entry.name.contains("4")) {
      #expect(trainer.gradient(entry.slot).array().allSatisfy { abs($0) < 1e-3 }, "\(entry.name)")
    }
    FiniteDifferences(seed: 138, tolerance: 0.02).expect(slots) { Double(trainer.step(on: views)) }
  }

  @Test(arguments: kinds) func trainingLowersTheLossWithoutCollapse(kind: ObjectiveKind) throws {
    let trainer = TinyViT.trainer(
      stage(kind, .layerWise), TinyViT.options(batch: 8, epochs: 12), workers: 2, seed: 139)
    let views = RandomViews(seed: 140, count: 24)
    var losses: [Float] = []
    _ = trainer.train(views, seed: 141) { _, _, loss in
      losses.append(loss)
      return true
    }
    let (first, last) = (losses.prefix(3).reduce(0, +) / 3, losses.suffix(3).reduce(0, +) / 3)
    #expect(losses.count == 36 && last < 0.8 * first, "\(first) to \(last), seeds 139 to 141")
    let monitors = try #require(trainer.monitors)
    #expect(!monitors.isCollapsed, "\(monitors)")
  }

  @Test(arguments: kinds) func workersDoNotChangeABit(kind: ObjectiveKind) {
    let results = [1, 2, 3].map { workers in
      let trainer = TinyViT.trainer(stage(kind, .progressive), TinyViT.options(), workers: workers, seed: 142)
      _ = trainer.train(RandomViews(seed: 143, count: 15), seed: 144)
      return trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  /// The loss of VICReg keeps the variance of its projections, which a normalisation would take away.
  @Test func onlyVICRegHasNoLastNormalisation() throws {
    for kind in Self.kinds {
      let objective = try #require(stage(kind, .layerWise).model.objective as? any ProjectionObjective)
      let head = try #require(objective.projectionHeads.first)
      #expect(head.linears.count == 3 && head.norms.count == (kind == .vicreg ? 2 : 3))
    }
  }
}
