import Engine
import Testing

/// Steps of a classification: gradients by finite differences, and what a commitment head and a bottleneck add.
@Suite struct ClassificationTests {
  private static let labels = (0..<40).map { $0 % 3 }
  private static var images: LabelledRows { LabelledRows(RandomViews(seed: 141, count: 40), labels: labels) }

  private func stage(_ classifier: ClassifierConfiguration, _ strategy: Strategy = .layerWise) -> Stage {
    Stage(
      strategy, index: strategy.hasSingleStage ? 1 : 2, TinyViT.encoder,
      objective: .classification(classifier))
  }

  /// Hidden width and label smoothing.
  @Test(
    arguments: [(0, 0), (0, 0.2), (7, 0.1)] as [(Int, Float)], [Strategy.layerWise, .endToEnd, .headOnly])
  func aStepHasItsGradients(_ classifier: (hidden: Int, smoothing: Float), strategy: Strategy) {
    let stage = stage(
      ClassifierConfiguration(classes: 3, hidden: classifier.hidden, smoothing: classifier.smoothing),
      strategy)
    let trainer = TinyViT.trainer(stage, TinyViT.options(batch: 9), workers: 2, seed: 142)
    #expect(trainer.terms(on: Self.images).terms.map(\.name) == ["cross-entropy"])
    let slots = stage.entries.map {
      Differentiable($0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array())
    }
    FiniteDifferences(seed: 143, tolerance: 0.02).expect(slots) { Double(trainer.step(on: Self.images)) }
  }

  /// The head learns whether the classifier is right, and nothing else has a gradient of it.
  @Test func aCommitmentChangesNothingElse() throws {
    let without = TinyViT.trainer(
      stage(ClassifierConfiguration(classes: 3)), TinyViT.options(batch: 9), seed: 144)
    let with = TinyViT.trainer(
      stage(ClassifierConfiguration(classes: 3, commitment: true)), TinyViT.options(batch: 9), seed: 144)
    let (before, terms) = (without.terms(on: Self.images), with.terms(on: Self.images))
    #expect(terms.terms.map(\.name) == ["cross-entropy", "commitment"] && terms.terms[0] == before.terms[0])
    for entry in without.stage.entries {
      let other = try #require(with.stage.entries.first { $0.name == entry.name })
      #expect(
        without.gradient(entry.slot).array() == with.gradient(other.slot).array(), "\(entry.name), seed 144")
    }
    #expect(with.stage.parts.map(\.name).suffix(2) == ["classifier", "commitment"])
  }

  /// The whole step with a bottleneck, also of two views, differentiated with respect to all trained parameters.
  @Test(arguments: [RenyiBottleneck.Term.information, .entropy], [true, false])
  func aBottleneckHasItsGradients(term: RenyiBottleneck.Term, isSupervised: Bool) throws {
    let objective: ObjectiveConfiguration =
      isSupervised ? .classification(classes: 3) : .contrastive(TinyViT.heads)
    var options = TinyViT.options(batch: 9)
    options.regularisers = [
      .features(Bottleneck(RenyiBottleneck.Settings(weight: 2, term: term, alpha: 2)))
    ]
    let stage = Stage(.layerWise, index: 2, TinyViT.encoder, objective: objective)
    let trainer = TinyViT.trainer(stage, options, workers: 2, seed: 145)
    // Large biases keep the heads' ReLUs from their kinks.
    for affine in (stage.model.objective as? any ProjectionObjective)?.projectionHeads.flatMap(\.norms) ?? []
    {
      if let bias = affine.affine?.bias { Elementwise.fill(trainer.parameters[bias], 4) }
    }
    trainer.begin()
    let terms = trainer.terms(on: Self.images)
    let last = try #require(terms.terms.last)
    #expect(last.name == "bottleneck" && last.value > 0 && terms.terms.count == 2)
    let block = stage.entries.filter { $0.name.hasPrefix("blocks.") }.map {
      Differentiable($0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array())
    }
    FiniteDifferences(seed: 146, tolerance: 0.03).expect(block) { Double(trainer.step(on: Self.images)) }
  }

  @Test func threadsDoNotChangeABit() {
    var options = TinyViT.options(batch: 9)
    options.regularisers = [.features(Bottleneck(RenyiBottleneck.Settings(weight: 1)))]
    let results = [1, 2, 3].map { workers in
      let trainer = TinyViT.trainer(
        stage(ClassifierConfiguration(classes: 3, hidden: 5, commitment: true), .progressive), options,
        workers: workers, seed: 147)
      _ = trainer.train(Self.images, seed: 148)
      return trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  /// A classifier of a ResNet reads a grid, whose cells together are the mean of all pixels.
  @Test func aGridIsAFinerMean() {
    var representations: [[Float]] = []
    for grid in [1, 2] {
      let encoder = TinyResNet.encoder.pooled(grid: grid)
      var layout = Layout()
      let network = encoder.makeEncoder(blocks: [0, 1], in: &layout)
      #expect(!layout.entries.contains { $0.name.hasPrefix("adapter") })
      #expect(network.output == encoder.width * 2 * grid * grid)
      let parameters = Storage(layout)
      for entry in layout.entries {
        var random = RandomNumbers(149, entry.name)
        for index in 0..<entry.slot.count {
          parameters[entry.slot].flat[0, index] =
            entry.name.hasSuffix("running_var") ? 1 : random.normal() * 0.3
        }
      }
      let outputs = Representations.of(2, by: network, parameters, workers: Workers(1)) { image, _, pixels in
        var random = RandomNumbers(150, "image \(image)")
        for index in 0..<encoder.input.count { pixels[index] = random.normal() }
      }
      representations.append(outputs.all.array())
    }
    #expect(representations[1].count == 4 * representations[0].count)
    for (index, mean) in representations[0].enumerated() {
      let cells = representations[1][4 * index..<4 * index + 4]
      #expect(abs(cells.reduce(0, +) / 4 - mean) < 1e-5, "seeds 149 and 150")
    }
  }
}
