import Engine
import Federation
import Testing

@Suite struct EncoderExampleTests {
  private static let shape = ResidualMLP.Shape(images: TinyViT.encoder.input.images, width: 12, depth: 3)
  private static let labels = (0..<40).map { $0 % 3 }

  /// Returns a stage with `depth` blocks, of which `training` train.
  private func stage(
    _ depth: Int, training: [Int], stem: Bool = false,
    _ objective: ObjectiveConfiguration = .contrastive(TinyViT.heads)
  ) -> Stage {
    let blocks = Array(0..<depth)
    let model = Model(objective: objective) { ResidualMLP(Self.shape, blocks: blocks, in: &$0) }
    return Stage(index: depth, Stage.Content(blocks: blocks, training: training, stem: stem), model)
  }

  @Test func itsPartsAreThoseOfOtherFamilies() {
    let stage = stage(3, training: [2])
    #expect(
      stage.model.parts.map(\.name) == ["stem", "blocks.0", "blocks.1", "blocks.2", "norm", "projector"])
    #expect(stage.parts.map(\.name) == ["blocks.2", "norm", "projector"] && stage.prefixDepth == 2)
  }

  /// A step of a classification with a penalty on residual branches, differentiated with respect to all trained
  /// parameters: of the last block, of a block below a frozen one, and of everything. Nothing in it has a kink.
  @Test(arguments: [([2], false), ([1], false), ([0, 1, 2], true)])
  func aStepHasItsGradients(training: [Int], stem: Bool) {
    let stage = stage(3, training: training, stem: stem, .classification(classes: 3))
    var options = TinyViT.options(batch: 7)
    options.regularisers = [.residualBranches(Kinetic(tau: 0.5))]
    let trainer = TinyViT.trainer(stage, options, workers: 2, seed: 41)
    let images = LabelledRows(RandomViews(seed: 42, count: 40), labels: Self.labels)
    #expect(trainer.terms(on: images).terms.map(\.name) == ["cross-entropy", "kinetic"])
    let slots = stage.entries.map {
      Differentiable($0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array())
    }
    #expect(slots.reduce(0) { $0 + $1.values.count } == stage.count)
    FiniteDifferences(seed: 43).expect(slots) { Double(trainer.step(on: images)) }
  }

  @Test func plansTakeIt() {
    var plan = Plan(encoder: EncoderConfiguration(Self.shape), heads: TinyViT.heads)
    #expect(plan.stages == 3 && plan.stage(2).model.encoder is ResidualMLP)
    #expect(plan.yaml().contains("\n  family: mlp\n"))
    plan.encoder.width = 20
    #expect(plan.encoder.value.output == 20 && plan.encoder.family != .vit)
  }

  /// Layer-wise training of three stages, each grown from the one before.
  @Test func growsAndTrainsLayerByLayer() {
    var below: (model: Model, parameters: StorageBox)?
    var untrained: Float = 0
    for depth in 1...3 {
      let stage = stage(depth, training: [depth - 1], stem: depth == 1)
      let trainer = Trainer(stage, TinyViT.options(batch: 8, epochs: 12), workers: Workers(2))
      if let below {
        Initialisation.grow(
          stage.model, into: trainer.parameters, from: below.model, below.parameters.storage, .transfer,
          layersPerStage: 1, seed: 44)
      } else {
        Initialisation.random(stage.model, into: trainer.parameters, seed: 44)
      }
      trainer.begin()
      let before = trainer.parameters.all.bits
      var losses: [Float] = []
      _ = trainer.train(RandomViews(seed: 45, count: 24), seed: 46) { _, _, loss in
        losses.append(loss)
        return true
      }
      let (first, last) = (losses.prefix(3).reduce(0, +) / 3, losses.suffix(3).reduce(0, +) / 3)
      // A later stage starts from what the one before has learned.
      if depth == 1 { untrained = first }
      #expect(last < untrained - 0.3, "stage \(depth): \(untrained), \(first) to \(last), seeds 44 to 46")
      let after = trainer.parameters.all.bits
      for part in stage.model.parts {
        let isTrained = stage.parts.contains(part)
        #expect((after[part.range] != before[part.range]) == isTrained, "\(part.name) of stage \(depth)")
      }
      let parameters = StorageBox(stage.model.layout.range)
      parameters.storage.copy(from: trainer.parameters)
      below = (stage.model, parameters)
    }
  }

  /// Neither threads nor whether the prefix is computed or read from a cache change a bit.
  @Test(arguments: [[1], [0], [0, 2]]) func threadsDoNotChangeABit(training: [Int]) {
    let results = [1, 2, 3].map { workers in
      let trainer = TinyViT.trainer(
        stage(3, training: training), TinyViT.options(alignment: 0.3), workers: workers, seed: 47)
      _ = trainer.train(RandomViews(seed: 48, count: 15), seed: 49)
      return trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0], "seeds 47 to 49")
  }

  @Test func takesFeaturesForImages() {
    let stage = stage(3, training: [2])
    let views = RandomViews(seed: 50, count: 5)
    let (width, batch) = (Self.shape.width, 5)
    let losses = [false, true].map { givesFeatures in
      let trainer = TinyViT.trainer(stage, TinyViT.options(alignment: 0.2, batch: batch), seed: 51)
      let prefix = PrefixRunner(stage.model, chunk: 3, workers: Workers(2))
      prefix.parameters.copy(from: trainer.parameters)
      let features = Storage(0..<2 * batch * width)
      let all = features.all.start
      prefix.run(2 * batch, from: .images, to: stage.prefixDepth) { row, worker, place in
        views.write(view: row / batch, image: row % batch, epoch: 0, worker: worker, into: place)
      } write: { row, values in
        (all + row * width).update(from: values, count: width)
      }
      return trainer.step(
        on: GivenRows(givesFeatures: givesFeatures) { view, image, place in
          if givesFeatures {
            place.update(from: all + (view * batch + image) * width, count: width)
          } else {
            views.write(view: view, image: image, epoch: 0, worker: 0, into: place)
          }
        })
    }
    #expect(abs(losses[0] - losses[1]) < 1e-5, "seeds 50 and 51")
  }

  /// The runner and the trainer compute the same function: the classes that inference finds after training.
  @Test func classifiesWhatItHasLearned() {
    let stage = stage(2, training: [0, 1], stem: true, .classification(classes: 3))
    let images = LabelledRows(RandomViews(seed: 52, count: 40), labels: Self.labels)
    let trainer = TinyViT.trainer(stage, TinyViT.options(batch: 10, epochs: 40), workers: 2, seed: 53)
    _ = trainer.train(images, seed: 54)
    let predictions = EarlyExits(stage.model, chunk: 40)
      .classify(40, leaving: ExitRule(confidence: 0), trainer.parameters) { image, place in
        images.write(view: 0, image: image, epoch: 100, worker: 0, into: place)
      }
    let right = zip(predictions, Self.labels).count { $0.label == $1 }
    #expect(right > 35, "\(right) of 40, seeds 52 to 54")
  }

  @Test func itsMemoryIsPlanned() {
    let (one, all) = (stage(3, training: [2]), stage(3, training: [0, 1, 2], stem: true))
    let options = TinyViT.options()
    #expect(
      MemoryPlan(one, options, workers: 1).bytes < MemoryPlan(all, options, workers: 1).bytes
        && MemoryPlan(one, options, workers: 1).bytes < MemoryPlan(one, options, workers: 2).bytes)
    #expect(OperationCount.step(one, batch: 5, branches: 0) < OperationCount.step(all, batch: 5, branches: 0))
  }

  @Test func aModelOfAFamilyWithoutAConfigurationHasNone() async {
    await #expect(processExitsWith: .failure) {
      let model = Model(objective: .classification(classes: 3)) {
        ResidualMLP(
          ResidualMLP.Shape(images: ImageInput(side: 8), width: 12, depth: 1), blocks: [0], in: &$0)
      }
      _ = model.configuration
    }
  }
}
