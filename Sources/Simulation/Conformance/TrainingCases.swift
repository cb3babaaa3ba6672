import Engine

/// The golden cases of a client's optimiser steps: losses, gradients of the first step, trained parameters.
enum TrainingCases {
  static func localTraining(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let stage = try stage(of: golden, tensors)
    let (view1, view2) = try (tensors("in.view1"), tensors("in.view2"))
    guard view1.shape.count == 5, view1.shape == view2.shape else {
      throw ConformanceError("in.view1 has the shape \(view1.shape), in.view2 \(view2.shape)")
    }
    let (steps, batch) = (view1.shape[0], view1.shape[1])
    let size = stage.model.configuration.input.count
    guard view1.values.count == steps * batch * size else {
      throw ConformanceError("in.view1 has the shape \(view1.shape) for images of \(size)")
    }
    let trainer = try trainer(stage, golden, batch: batch, tensors)
    try checkGradientNames(stage, tensors)

    var comparison = Comparison()
    var losses: [LossTerms] = []
    let views = GivenViews(count: steps * batch, size: size, views: [view1.values, view2.values])
    let order = Array(0..<views.count)
    for step in 0..<steps {
      let images = Minibatch(views, images: order[step * batch..<(step + 1) * batch], epoch: 0)
      losses.append(trainer.step(learningRate: Float(try golden.number("lr")), images))
      if step == 0 { try compareGradients(trainer, tensors, &comparison) }
    }
    try comparison.compare("out.losses", losses.map(\.total), with: tensors("out.losses").values)
    if tensors.has("out.kinetic_terms") {
      let terms = losses.map { $0.terms.first { $0.name == "kinetic" }?.value ?? 0 }
      try comparison.compare("out.kinetic_terms", terms, with: tensors("out.kinetic_terms").values)
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

  /// The views of a case, image after image.
  private struct GivenViews: RowSource {
    let count, size: Int
    let views: [[Float]]

    func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
      views[view].withUnsafeBufferPointer {
        if let from = $0.baseAddress { place.update(from: from + image * size, count: size) }
      }
    }
  }

  private static func stage(of golden: GoldenCase, _ tensors: GoldenTensors) throws -> Stage {
    let strategies: [String: Strategy] = ["lw": .layerWise, "prog": .progressive, "e2e": .endToEnd]
    guard let strategy = strategies[try golden.text("strategy")] else {
      throw ConformanceError("this version does not know the strategy \(try golden.text("strategy"))")
    }
    let name = try golden.text("ssl")
    guard let objective = ObjectiveKind(rawValue: name) else {
      throw ConformanceError("this version does not know the objective \(name)")
    }
    let width = try golden.integer("dim")
    guard let hidden = try tensors("param.encoder.blocks.0.mlp.fc1.weight").shape.first, width > 0 else {
      throw ConformanceError("param.encoder.blocks.0.mlp.fc1.weight has no rows")
    }
    let configuration = EncoderConfiguration(
      image: try golden.integer("image"), channels: try golden.integer("channels"),
      patch: try golden.integer("patch"), width: width, depth: try golden.integer("depth"),
      heads: try golden.integer("heads"), mlpRatio: hidden / width)
    let projector = try golden.integers("projector")
    guard projector.count == 4, projector[0] == width, projector[1] == projector[2] else {
      throw ConformanceError("a projector of \(projector)")
    }
    let heads = HeadConfiguration(
      hidden: projector[1], output: projector[3], bias: tensors.has("param.projector.0.bias"))
    let index = strategy == .endToEnd ? 1 : try golden.integer("stage")
    let layers = try golden.integer("layers_per_stage")
    guard index >= 1, layers >= 1, strategy == .endToEnd || index * layers <= configuration.depth else {
      throw ConformanceError("stage \(index) of \(layers) layers in \(configuration.depth)")
    }
    return Stage(
      strategy, index: index, layersPerStage: layers, configuration,
      objective: objective.configuration(ObjectiveSettings(heads: heads)))
  }

  private static func trainer(
    _ stage: Stage, _ golden: GoldenCase, batch: Int, _ tensors: GoldenTensors
  ) throws -> Trainer {
    let options = TrainingOptions(
      momentum: Float(try golden.number("momentum")), temperature: Float(try golden.number("temperature")),
      alignment: Float(try golden.number("alignment")),
      proximal: Float(try golden.number("proximal")),
      kinetic: golden.has("kinetic_tau") ? Float(try golden.number("kinetic_tau")) : 0, batch: batch,
      weightDecay: Float(try golden.number("weight_decay")),
      schedule: LearningRateSchedule(rate: Float(try golden.number("lr"))), chunk: 5)
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

  /// Checks that the trained parameters are exactly those with gradients in the case; frozen parameters have none.
  private static func checkGradientNames(_ stage: Stage, _ tensors: GoldenTensors) throws {
    let names = stage.entries.map { caseName($0.name) }.sorted()
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
    name.hasPrefix("projector.") || name.hasPrefix("predictor.") ? name : "encoder.\(name)"
  }
}
