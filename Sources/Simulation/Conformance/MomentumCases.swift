import Engine

/// The golden cases of SGD with momentum and LARS: a matrix and a vector, which LARS treats differently.
enum MomentumCases {
  static let operations: [String: Conformance.Operation] = [
    "sgd": { try run($0, $1, trustCoefficient: nil) },
    "lars": { try run($0, $1, trustCoefficient: Float($0.number("trust_coefficient"))) },
  ]

  private static func run(
    _ golden: GoldenCase, _ tensors: GoldenTensors, trustCoefficient: Float?
  ) throws -> Comparison {
    var (optimised, starts, gradients): ([OptimisedTensor], [[Float]], [[Float]]) = ([], [], [])
    var (count, steps) = (0, 0)
    for name in ["matrix", "vector"] {
      let (start, given) = try (tensors("in.\(name)"), tensors("in.\(name)_gradients"))
      steps = given.shape.first ?? 0
      guard given.shape == [steps] + start.shape, !start.values.isEmpty else {
        throw ConformanceError("in.\(name)_gradients has the shape \(given.shape)")
      }
      optimised.append(
        OptimisedTensor(range: count..<count + start.values.count, isVector: start.shape.count == 1))
      count += start.values.count
      starts.append(start.values)
      gradients.append(given.values)
    }
    guard gradients.map(\.count) == starts.map({ $0.count * steps }) else {
      throw ConformanceError("in.matrix_gradients and in.vector_gradients have other numbers of steps")
    }
    let parameters = Storage(0..<count)
    let gradient = Storage(0..<count)
    parameters.all.fill(with: starts.flatMap { $0 })
    let optimiser = MomentumSGD(
      [0..<count], moving: optimised, weightDecay: Float(try golden.number("weight_decay")),
      momentum: Float(try golden.number("momentum")), trustCoefficient: trustCoefficient)
    let (rate, workers) = (Float(try golden.number("lr")), Workers(2))
    for step in 0..<steps {
      for (tensor, values) in zip(optimised, gradients) {
        let each = tensor.range.count
        gradient[tensor.range].fill(with: Array(values[step * each..<(step + 1) * each]))
      }
      optimiser.step(parameters, gradient, learningRate: rate, workers)
    }
    var comparison = Comparison()
    for (name, tensor) in zip(["out.matrix", "out.vector"], optimised) {
      try comparison.compare(name, parameters[tensor.range].array(), with: tensors(name).values)
    }
    return comparison
  }
}
