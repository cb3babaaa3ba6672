import Engine

/// The golden cases of the learned controller: an episode's probabilities, and the gradient of REINFORCE.
enum ControllerCases {
  static let operations: [String: Conformance.Operation] = ["lstm_controller": episode]

  private static func episode(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let controller = try controller(golden, tensors)
    let decisions = try decisions(tensors, stages: controller.shape.stages)
    guard let cost = try tensors("in.cost").values.first else { throw ConformanceError("in.cost is empty") }
    var baseline = CostBaseline(
      try golden.number("baseline"), ratio: try golden.number("baseline_ratio"))
    let advantage = baseline.advantage(of: Double(cost))
    let review = controller.review(decisions, advantage: advantage)
    var comparison = Comparison()
    let results = [
      ("out.stop", review.stop), ("out.log_probabilities", review.logProbabilities),
      ("out.advantage", [advantage]), ("out.baseline", [baseline.value]), ("out.loss", [review.loss]),
    ]
    for (name, values) in results {
      try comparison.compare(name, values.map(Float.init), with: tensors(name).values)
    }
    for entry in controller.shape.layout.entries {
      let name = "grad.\(entry.name)"
      try comparison.compare(name, Array(review.gradient[entry.slot.range]), with: tensors(name).values)
    }
    return comparison
  }

  private static func controller(
    _ golden: GoldenCase, _ tensors: GoldenTensors
  ) throws -> StageController {
    let (stages, decisions) = try (golden.integer("stages"), golden.integer("decisions"))
    guard (1...10_000).contains(stages), (1...10_000).contains(decisions) else {
      throw ConformanceError("\(stages) stages with \(decisions) decisions")
    }
    guard try golden.integer("hidden") == StageController.units else {
      throw ConformanceError("a controller of \(try golden.integer("hidden")) units")
    }
    let shape = StageController.Shape(stages: stages, decisions: decisions)
    let parameters = try shape.layout.entries.flatMap { entry in
      let tensor = try tensors("param.\(entry.name)")
      guard tensor.shape == entry.shape else {
        throw ConformanceError("param.\(entry.name) has the shape \(tensor.shape) instead of \(entry.shape)")
      }
      return tensor.values
    }
    return StageController(shape, parameters: parameters)
  }

  private static func decisions(_ tensors: GoldenTensors, stages: Int) throws -> [ControllerDecision] {
    let (losses, numbers, actions) = try (
      tensors("in.losses").values, tensors("in.stages").values, tensors("in.actions").values
    )
    guard losses.count == numbers.count, losses.count == actions.count else {
      throw ConformanceError("\(losses.count) losses, \(numbers.count) stages and \(actions.count) actions")
    }
    return try losses.indices.map { index in
      guard let stage = Int(exactly: numbers[index]), (0..<stages).contains(stage),
        [0, 1].contains(actions[index])
      else { throw ConformanceError("stage \(numbers[index]) with action \(actions[index])") }
      return ControllerDecision(loss: Double(losses[index]), stage: stage, ends: actions[index] == 1)
    }
  }
}
