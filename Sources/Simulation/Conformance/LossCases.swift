import Engine
import Federation

/// The golden cases of losses, of the optimiser and of aggregation.
enum LossCases {
  static let operations: [String: Conformance.Operation] = [
    "nt_xent": ntXent, "info_nce": infoNCE, "byol": byol, "adamw": adamW, "fedavg": weightedMean,
    "coordinate_median": { try aggregate($0, $1) { updates, _ in CoordinateRules.median(of: updates) } },
    "trimmed_mean": {
      try aggregate($0, $1) { CoordinateRules.trimmedMean(of: $0, trim: try $1.integer("trim")) }
    },
  ]

  private static func ntXent(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (z1, z2) = try (tensors("in.z1"), tensors("in.z2"))
    let (batch, width) = try size(z1, "in.z1")
    guard z2.shape == z1.shape else { throw ConformanceError("in.z2 has the shape \(z2.shape)") }
    var layout = Layout()
    let loss = NTXent(batch: batch, width: width, in: &layout)
    let (z, dz) = (layout.add("z", 2 * batch, width), layout.add("dz", 2 * batch, width))
    let work = Storage(layout)
    work[z].fill(with: z1.values + z2.values)
    let value = loss.loss(
      work[z], adding: work[dz], temperature: Float(try golden.number("temperature")), work)
    var comparison = Comparison()
    try comparison.compare("out.loss", [value], with: tensors("out.loss").values)
    try comparison.compare("out.dz1", work[dz].rows(0..<batch).array(), with: tensors("out.dz1").values)
    try comparison.compare(
      "out.dz2", work[dz].rows(batch..<2 * batch).array(), with: tensors("out.dz2").values)
    return comparison
  }

  private static func infoNCE(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (queries, keys) = try (tensors("in.q"), tensors("in.k"))
    let (batch, width) = try size(queries, "in.q")
    guard keys.shape == queries.shape else { throw ConformanceError("in.k has the shape \(keys.shape)") }
    var layout = Layout()
    let loss = InfoNCE(batch: batch, width: width, in: &layout)
    let (q, k) = (layout.add("q", batch, width), layout.add("k", batch, width))
    let dq = layout.add("dq", batch, width)
    let work = Storage(layout)
    work[q].fill(with: queries.values)
    work[k].fill(with: keys.values)
    let value = loss.loss(
      work[q], work[k], adding: work[dq], temperature: Float(try golden.number("temperature")), work)
    var comparison = Comparison()
    try comparison.compare("out.loss", [value], with: tensors("out.loss").values)
    try comparison.compare("out.dq", work[dq].array(), with: tensors("out.dq").values)
    return comparison
  }

  private static func byol(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (queries, keys) = try (tensors("in.q"), tensors("in.k"))
    let (batch, width) = try size(queries, "in.q")
    guard keys.shape == queries.shape else { throw ConformanceError("in.k has the shape \(keys.shape)") }
    var layout = Layout()
    let loss = CosineDistance(batch: batch, width: width, in: &layout)
    let (q, k) = (layout.add("q", batch, width), layout.add("k", batch, width))
    let dq = layout.add("dq", batch, width)
    let work = Storage(layout)
    work[q].fill(with: queries.values)
    work[k].fill(with: keys.values)
    let value = loss.loss(work[q], work[k], adding: work[dq], work)
    var comparison = Comparison()
    try comparison.compare("out.loss", [value], with: tensors("out.loss").values)
    try comparison.compare("out.dq", work[dq].array(), with: tensors("out.dq").values)
    return comparison
  }

  private static func aggregate(
    _ golden: GoldenCase, _ tensors: GoldenTensors, _ rule: ([[Float]], GoldenCase) throws -> [Float]
  ) throws -> Comparison {
    let updates = try tensors("in.updates")
    let (clients, count) = try size(updates, "in.updates")
    guard clients > 0 else { throw ConformanceError("in.updates has no rows") }
    let rows = (0..<clients).map { Array(updates.values[$0 * count..<($0 + 1) * count]) }
    var comparison = Comparison()
    try comparison.compare("out.aggregate", rule(rows, golden), with: tensors("out.aggregate").values)
    return comparison
  }

  private static func adamW(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (start, gradients) = try (tensors("in.parameter"), tensors("in.gradients"))
    let count = start.values.count
    guard let steps = gradients.shape.first, gradients.values.count == steps * count else {
      throw ConformanceError("in.gradients has the shape \(gradients.shape)")
    }
    let parameters = Storage(0..<count)
    let gradient = Storage(0..<count)
    parameters.all.fill(with: start.values)
    let optimiser = AdamW(
      [0..<count], weightDecay: Float(try golden.number("weight_decay")),
      moments: try golden.moments())
    let (rate, workers) = (Float(try golden.number("lr")), Workers(1))
    for step in 0..<steps {
      gradient.all.fill(with: Array(gradients.values[step * count..<(step + 1) * count]))
      optimiser.step(parameters, gradient, learningRate: rate, workers)
    }
    var comparison = Comparison()
    try comparison.compare("out.parameter", parameters.all.array(), with: tensors("out.parameter").values)
    return comparison
  }

  private static func weightedMean(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (updates, samples) = try (tensors("in.updates"), tensors("in.samples"))
    let (clients, count) = try size(updates, "in.updates")
    guard samples.values.count == clients, samples.values.allSatisfy({ $0 >= 1 && $0 < 1e9 }) else {
      throw ConformanceError("in.samples is \(samples.values)")
    }
    let weights = samples.values.map { Int($0) }
    var mean = WeightedMean(count: count, samples: weights.reduce(0, +))
    for client in 0..<clients {
      updates.values[client * count..<(client + 1) * count].withUnsafeBufferPointer {
        mean.fold($0, samples: weights[client])
      }
    }
    var comparison = Comparison()
    let aggregate = mean.finish().withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    try comparison.compare("out.aggregate", aggregate, with: tensors("out.aggregate").values)
    return comparison
  }

  private static func size(_ tensor: Safetensors.Tensor, _ name: String) throws -> (Int, Int) {
    guard tensor.shape.count == 2 else { throw ConformanceError("\(name) has the shape \(tensor.shape)") }
    return (tensor.shape[0], tensor.shape[1])
  }
}

extension Matrix {
  /// Sets the elements of a contiguous matrix, in row-major order.
  func fill(with values: [Float]) {
    precondition(isContiguous && values.count == count, "\(values.count) values for \(rows) x \(columns)")
    for (index, value) in values.enumerated() { start[index] = value }
  }
}
