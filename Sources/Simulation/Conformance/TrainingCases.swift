import Engine

/// The golden cases of a client's optimiser steps: losses, gradients of the first step, trained parameters.
enum TrainingCases {
  static let operations: [String: Conformance.Operation] = [
    "local_training": localTraining, "supervised_training": supervisedTraining,
    "masked_training": maskedTraining,
  ]

  private static func localTraining(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (view1, view2) = try (tensors("in.view1"), tensors("in.view2"))
    guard view1.shape == view2.shape else {
      throw ConformanceError("in.view1 has the shape \(view1.shape), in.view2 \(view2.shape)")
    }
    let stage = try stage(of: golden, tensors, selfSupervised(golden, tensors))
    return try run(
      golden, tensors, stage, [view1, view2] + localViews(golden, tensors), labels: nil,
      terms: ["kinetic": "kinetic", "local": "local views"])
  }

  /// Returns the local views of a case, whose tensor is [steps, views, B, C, size, size], as one tensor for each view.
  private static func localViews(
    _ golden: GoldenCase, _ tensors: GoldenTensors
  ) throws -> [Safetensors.Tensor] {
    guard golden.has("local_views") else { return [] }
    let (all, whole) = try (tensors("in.local"), tensors("in.view1").shape)
    let (count, side) = try (golden.integer("local_views"), golden.integer("local_size"))
    let patch = try golden.integer("patch")
    guard whole.count == 5, count > 0, patch > 0, side > 0, side < whole[4], side % patch == 0,
      all.shape == [whole[0], count, whole[1], whole[2], side, side]
    else {
      throw ConformanceError("in.local has the shape \(all.shape), in.view1 \(whole)")
    }
    let each = all.shape.dropFirst(2).reduce(1, *)
    return (0..<count).map { view in
      Safetensors.Tensor(
        shape: [all.shape[0]] + all.shape.dropFirst(2),
        values: (0..<all.shape[0]).flatMap { step in
          let start = (step * count + view) * each
          return Array(all.values[start..<start + each])
        })
    }
  }

  private static func supervisedTraining(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison
  {
    let dims = try golden.integers("classifier")
    guard (2...3).contains(dims.count), dims.allSatisfy({ $0 > 0 }), let classes = dims.last else {
      throw ConformanceError("a classifier of \(dims)")
    }
    let classifier = ClassifierConfiguration(
      classes: classes, hidden: dims.count == 3 ? dims[1] : 0,
      smoothing: Float(try golden.number("smoothing")),
      commitment: try golden.integer("commitment") == 1)
    let stage = try stage(of: golden, tensors, .classification(classifier))
    let labels = try tensors("in.labels").values.map { Int($0) }
    guard labels.allSatisfy((0..<classes).contains) else {
      throw ConformanceError("labels that are not among \(classes) classes")
    }
    return try run(
      golden, tensors, stage, [tensors("in.view")], labels: labels,
      terms: [
        "ce": "cross-entropy", "bottleneck": "bottleneck", "kinetic": "kinetic", "commitment": "commitment",
      ])
  }

  private static func maskedTraining(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (view, shown) = try (tensors("in.view"), tensors("in.shown"))
    guard let shape = try encoder(of: golden, tensors).value as? ViTConfiguration, shape.patches >= 2,
      let width = try tensors("param.decoder.embed.weight").shape.first, width > 0
    else { throw ConformanceError("masked patches of an encoder without patches") }
    let settings = MaskedConfiguration.Settings(
      ratio: Float(try golden.number("ratio")), width: width, blocks: try golden.integer("decoder_blocks"),
      heads: try golden.integer("decoder_heads"))
    guard settings.blocks > 0, settings.heads > 0, width % settings.heads == 0 else {
      throw ConformanceError("a decoder of \(settings)")
    }
    let masked = MaskedConfiguration(settings, for: shape)
    let places = shown.values.map { Int32($0) }
    guard shown.shape == Array(view.shape.prefix(2)) + [masked.shown],
      places.allSatisfy((0..<Int32(shape.patches)).contains)
    else { throw ConformanceError("in.shown has the shape \(shown.shape)") }
    let objective = ObjectiveKind.masked.configuration(ObjectiveSettings(masked: masked))
    let stage = try stage(of: golden, tensors, objective)
    return try run(golden, tensors, stage, [view], labels: nil, shown: places, terms: [:])
  }

  /// Runs the steps of a case; `terms` has the names of the loss's terms by those of the case.
  private static func run(
    _ golden: GoldenCase, _ tensors: GoldenTensors, _ stage: Stage, _ given: [Safetensors.Tensor],
    labels: [Int]?, shown: [Int32] = [], terms: [String: String]
  ) throws -> Comparison {
    let shape = given[0].shape
    guard shape.count == 5 else { throw ConformanceError("views of the shape \(shape)") }
    let (steps, batch) = (shape[0], shape[1])
    let size = stage.model.configuration.input.count
    guard given[0].values.count == steps * batch * size, labels.map({ $0.count == steps * batch }) ?? true
    else {
      throw ConformanceError("views of the shape \(shape) for images of \(size)")
    }
    let trainer = try trainer(stage, golden, batch: batch, tensors)
    try checkGradientNames(stage, tensors)

    var comparison = Comparison()
    var losses: [LossTerms] = []
    let views = GivenRows(
      count: steps * batch, views: given.map(\.values), labels: labels, shown: shown)
    let order = Array(0..<views.count)
    for step in 0..<steps {
      let images = Minibatch(views, images: order[step * batch..<(step + 1) * batch], epoch: 0)
      losses.append(trainer.step(learningRate: Float(try golden.number("lr")), images))
      if step == 0 { try compareGradients(trainer, tensors, &comparison) }
    }
    try comparison.compare("out.losses", losses.map(\.total), with: tensors("out.losses").values)
    for (name, term) in terms.sorted(by: { $0.key < $1.key }) where tensors.has("out.\(name)_terms") {
      let values = losses.map { $0.terms.first { $0.name == term }?.value ?? 0 }
      try comparison.compare("out.\(name)_terms", values, with: tensors("out.\(name)_terms").values)
    }
    let absolute = try golden.number("trained_parameters_tolerance")
    for entry in stage.model.layout.entries where tensors.has("out.\(caseName(entry.name))") {
      let name = "out.\(caseName(entry.name))"
      try comparison.compare(
        name, trainer.parameters[entry.slot].array(), with: tensors(name).values, within: absolute,
        tolerance: golden.tolerance)
    }
    return comparison
  }

  private static func selfSupervised(
    _ golden: GoldenCase, _ tensors: GoldenTensors
  ) throws -> ObjectiveConfiguration {
    let name = try golden.text("ssl")
    guard let objective = ObjectiveKind(rawValue: name) else {
      throw ConformanceError("this version does not know the objective \(name)")
    }
    let projector = try golden.integers("projector")
    guard projector.count == 4, try projector[0] == golden.integer("dim"), projector[1] == projector[2] else {
      throw ConformanceError("a projector of \(projector)")
    }
    return objective.configuration(
      ObjectiveSettings(
        heads: HeadConfiguration(
          hidden: projector[1], output: projector[3], bias: tensors.has("param.projector.0.bias"))))
  }

  private static func encoder(
    of golden: GoldenCase, _ tensors: GoldenTensors
  ) throws -> EncoderConfiguration {
    let images = ImageInput(side: try golden.integer("image"), channels: try golden.integer("channels"))
    guard images.side > 0, images.channels > 0 else { throw ConformanceError("images of \(images.count)") }
    if golden.has("family"), try golden.text("family") == "resnet" {
      let (width, grid) = try (golden.integer("width"), golden.integer("grid"))
      guard width > 0, grid > 0, images.side % (8 * grid) == 0 || images.side % grid == 0 else {
        throw ConformanceError("a grid of \(grid)")
      }
      return EncoderConfiguration(ResNetConfiguration(images: images, width: width)).pooled(grid: grid)
    }
    let width = try golden.integer("dim")
    guard let hidden = try tensors("param.encoder.blocks.0.mlp.fc1.weight").shape.first, width > 0 else {
      throw ConformanceError("param.encoder.blocks.0.mlp.fc1.weight has no rows")
    }
    return EncoderConfiguration(
      image: images.side, channels: images.channels, patch: try golden.integer("patch"), width: width,
      depth: try golden.integer("depth"), heads: try golden.integer("heads"), mlpRatio: hidden / width)
  }

  private static func stage(
    of golden: GoldenCase, _ tensors: GoldenTensors, _ objective: ObjectiveConfiguration
  ) throws -> Stage {
    let strategies: [String: Strategy] = ["lw": .layerWise, "prog": .progressive, "e2e": .endToEnd]
    guard let strategy = strategies[try golden.text("strategy")] else {
      throw ConformanceError("this version does not know the strategy \(try golden.text("strategy"))")
    }
    let configuration = try encoder(of: golden, tensors)
    let index = strategy.hasSingleStage ? 1 : try golden.integer("stage")
    let layers = try golden.integer("layers_per_stage")
    guard index >= 1, layers >= 1, strategy.hasSingleStage || index * layers <= configuration.depth else {
      throw ConformanceError("stage \(index) of \(layers) layers in \(configuration.depth)")
    }
    return Stage(strategy, index: index, layersPerStage: layers, configuration, objective: objective)
  }

  private static func trainer(
    _ stage: Stage, _ golden: GoldenCase, batch: Int, _ tensors: GoldenTensors
  ) throws -> Trainer {
    func number(_ name: String) throws -> Float { golden.has(name) ? Float(try golden.number(name)) : 0 }
    var options = TrainingOptions(
      momentum: try number("momentum"), temperature: try number("temperature"),
      alignment: try number("alignment"), proximal: try number("proximal"),
      kinetic: try number("kinetic_tau"), batch: batch,
      weightDecay: Float(try golden.number("weight_decay")),
      schedule: LearningRateSchedule(rate: Float(try golden.number("lr"))), chunk: 5)
    if golden.has("optimizer") {
      guard let optimiser = OptimiserKind(rawValue: try golden.text("optimizer")) else {
        throw ConformanceError("this version does not know the optimiser \(try golden.text("optimizer"))")
      }
      options.optimiser = optimiser
      options.gradientMomentum = try number("optimizer_momentum")
      options.trustCoefficient = try number("trust_coefficient")
    }
    if golden.has("local_views") {
      options.localViews = LocalViews(
        count: try golden.integer("local_views"), size: try golden.integer("local_size"))
    }
    if let bottleneck = try bottleneck(golden) { options.regularisers.append(.features(bottleneck)) }
    let trainer = Trainer(stage, options, workers: Workers(2))
    for entry in stage.model.layout.entries {
      let name = "param.\(caseName(entry.name))"
      let tensor = try tensors(name)
      guard tensor.values.count == entry.slot.count else {
        throw ConformanceError("\(name) has the shape \(tensor.shape) instead of \(entry.shape)")
      }
      trainer.parameters[entry.slot].fill(with: tensor.values)
    }
    trainer.begin()
    return trainer
  }

  /// Returns the bottleneck of a case; nil without.
  private static func bottleneck(_ golden: GoldenCase) throws -> Bottleneck? {
    guard golden.has("beta"), try golden.number("beta") != 0 else { return nil }
    guard let term = RenyiBottleneck.Term(rawValue: try golden.text("term")),
      let kernel = RenyiBottleneck.Kernel(rawValue: try golden.text("kernel"))
    else { throw ConformanceError("this version does not know the bottleneck") }
    let widths: RenyiBottleneck.Widths = try golden.text("width_rule") == "first" ? .first : .nearest
    let settings = RenyiBottleneck.Settings(
      weight: Float(try golden.number("beta")), term: term, alpha: try golden.number("alpha"), kernel: kernel,
      widths: widths, neighbours: try golden.integer("neighbours"),
      widthGradient: try golden.integer("width_gradient") == 1)
    if let problem = settings.problem { throw ConformanceError(problem) }
    return Bottleneck(settings)
  }

  /// Checks that the trained parameters are exactly those with gradients in the case; frozen parameters have none.
  private static func checkGradientNames(_ stage: Stage, _ tensors: GoldenTensors) throws {
    let names = stage.entries.filter { !$0.isBuffer }.map { caseName($0.name) }.sorted()
    guard names == tensors.names("grad.") else {
      throw ConformanceError("gradients exist of \(names) instead of \(tensors.names("grad."))")
    }
  }

  private static func compareGradients(
    _ trainer: Trainer, _ tensors: GoldenTensors, _ comparison: inout Comparison
  ) throws {
    for entry in trainer.stage.model.layout.entries where tensors.has("grad.\(caseName(entry.name))") {
      let name = "grad.\(caseName(entry.name))"
      try comparison.compare(name, trainer.gradient(entry.slot).array(), with: tensors(name).values)
    }
  }

  private static func caseName(_ name: String) -> String {
    ["projector.", "predictor.", "classifier.", "commitment.", "decoder."].contains { name.hasPrefix($0) }
      ? name : "encoder.\(name)"
  }
}

/// The views of a case, row after row: images, or features of a frozen prefix.
struct GivenRows: RowSource {
  let count: Int
  let views: [[Float]]
  var labels: [Int]?
  var givesFeatures = false
  /// The patches that are shown, image after image, if the objective hides some.
  var shown: [Int32] = []

  func writeShown(of patches: Int, image: Int, epoch: Int, into places: UnsafeMutableBufferPointer<Int32>) {
    for index in 0..<places.count { places[index] = shown[image * places.count + index] }
  }

  func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
    // Local views are smaller.
    let size = views[view].count / count
    views[view].withUnsafeBufferPointer {
      if let from = $0.baseAddress { place.update(from: from + image * size, count: size) }
    }
  }
}
