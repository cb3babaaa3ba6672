import Engine

/// The golden cases of block coordinate descent on deep linear networks, at one place and in a federation.
enum DeepLinearCases {
  static let operations: [String: Conformance.Operation] = [
    "deep_linear_sweep": { try run($0, $1, parts: [""]) },
    "deep_linear_federated": { golden, tensors in
      let clients = try golden.integer("clients")
      guard clients > 0 else { throw ConformanceError("clients is \(clients)") }
      return try run(golden, tensors, parts: (0..<clients).map { ".\($0)" })
    },
  ]

  /// The rows of tensors in.x and in.y.
  private struct Rows: RegressionRows {
    let count, inputCount, targetCount: Int
    private let x, y: [Double]

    init(_ tensors: GoldenTensors, _ part: String) throws {
      let (x, y) = try (tensors("in.x\(part)"), tensors("in.y\(part)"))
      guard x.shape.count == 2, y.shape.count == 2, x.shape[0] == y.shape[0] else {
        throw ConformanceError("in.x\(part) has the shape \(x.shape), in.y\(part) \(y.shape)")
      }
      (count, inputCount, targetCount) = (x.shape[0], x.shape[1], y.shape[1])
      (self.x, self.y) = (x.values.map { Double($0) }, y.values.map { Double($0) })
    }

    func copy(_ rows: Range<Int>, inputs: DoubleMatrix, targets: DoubleMatrix) {
      inputs.set(Array(x[rows.lowerBound * inputCount..<rows.upperBound * inputCount]))
      targets.set(Array(y[rows.lowerBound * targetCount..<rows.upperBound * targetCount]))
    }
  }

  /// Runs the sweeps on the rows of one or more clients, which send gradients and packed second moments.
  private static func run(
    _ golden: GoldenCase, _ tensors: GoldenTensors, parts: [String]
  ) throws -> Comparison {
    let rows = try parts.map { try Rows(tensors, $0) }
    let network = try network(tensors)
    guard
      rows.allSatisfy({ $0.inputCount == network.shape.inputs && $0.targetCount == network.shape.outputs })
    else {
      throw ConformanceError(
        "rows of \(rows[0].inputCount) and \(rows[0].targetCount) for \(network.shape.widths)")
    }
    guard let order = SweepOrder(rawValue: try golden.text("order")) else {
      throw ConformanceError("there is no order \(try golden.text("order"))")
    }
    let workers = Workers(2)
    let clients = rows.map { RowStatistics($0, workers: workers) }
    var comparison = Comparison()
    var (losses, rates): ([Float], [Float]) = ([], [])
    let sweeps = golden.has("sweeps") ? try golden.integer("sweeps") : 2
    for sweep in 1...max(sweeps, 1) {
      for (index, block) in order.blocks(network.shape.depth).enumerated() {
        var statistics: BlockStatistics?
        for (number, client) in clients.enumerated() {
          let own = BlockStatistics(of: block, network, client, moments: true)
          if sweep == 1, index == 0, number == 0, tensors.has("out.first.gradient.0") {
            try comparison.compare(
              "out.first.gradient.0", own.gradient.map { Float($0) },
              with: tensors("out.first.gradient.0").values)
            let moments = BlockStatistics.unpack(own.moments ?? [], size: network.shape.widths[block])
            try comparison.compare(
              "out.first.second_moment.0", moments.matrix.array().map { Float($0) },
              with: tensors("out.first.second_moment.0").values)
          }
          statistics = statistics?.adding(own) ?? own
        }
        guard let statistics else { continue }
        if index == 0 { losses.append(Float(statistics.loss)) }
        rates.append(Float(network.step(statistics)))
      }
      for block in 0..<network.shape.depth {
        let name = "out.sweep\(sweep).weights.\(block)"
        try comparison.compare(
          name, network.weight(block).map { Float($0) }, with: tensors(name).values)
      }
    }
    losses.append(Float(clients.reduce(0) { $0 + network.loss($1) }))
    try comparison.compare("out.losses", losses, with: tensors("out.losses").values)
    try comparison.compare("out.rates", rates, with: tensors("out.rates").values)
    return comparison
  }

  private static func network(_ tensors: GoldenTensors) throws -> DeepLinearNetwork {
    var (widths, weights): ([Int], [[Double]]) = ([], [])
    while tensors.has("param.weights.\(weights.count)") {
      let weight = try tensors("param.weights.\(weights.count)")
      guard weight.shape.count == 2, weight.shape.allSatisfy({ $0 > 0 }),
        widths.last.map({ $0 == weight.shape[1] }) ?? true
      else { throw ConformanceError("param.weights.\(weights.count) has the shape \(weight.shape)") }
      if widths.isEmpty { widths.append(weight.shape[1]) }
      widths.append(weight.shape[0])
      weights.append(weight.values.map { Double($0) })
    }
    guard !weights.isEmpty else { throw ConformanceError("there is no tensor param.weights.0") }
    let network = DeepLinearNetwork(DeepLinearShape(widths: widths))
    for (block, weight) in weights.enumerated() { network.setWeight(block, weight) }
    return network
  }
}
