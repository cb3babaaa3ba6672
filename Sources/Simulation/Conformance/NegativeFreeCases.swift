import Engine

/// The golden cases of losses of two views without negative pairs.
enum NegativeFreeCases {
  static let operations: [String: Conformance.Operation] = [
    "vicreg": { golden, tensors in
      let weights = VICRegConfiguration(
        similarity: Float(try golden.number("similarity")), variance: Float(try golden.number("variance")),
        covariance: Float(try golden.number("covariance")))
      return try run(tensors) { batch, width, layout in
        let loss = VICRegLoss(batch: batch, width: width, weights, in: &layout)
        return { Float(loss.loss($0, adding: $1, $2).total) }
      }
    },
    "barlow": { golden, tensors in
      let weights = BarlowConfiguration(offDiagonal: Float(try golden.number("off_diagonal")))
      return try run(tensors) { _, width, layout in
        let loss = CrossCorrelation(width: width, weights, in: &layout)
        return { loss.loss($0, adding: $1, $2) }
      }
    },
  ]

  /// Returns a loss of z [2B, P] that adds its gradient.
  private typealias Loss = (_ z: Matrix, _ dz: Matrix, _ work: borrowing Storage) -> Float

  private static func run(
    _ tensors: GoldenTensors, _ make: (_ batch: Int, _ width: Int, _ layout: inout Layout) -> Loss
  ) throws -> Comparison {
    let (z1, z2) = try (tensors("in.z1"), tensors("in.z2"))
    guard z1.shape.count == 2, z1.shape == z2.shape, z1.shape[0] >= 2 else {
      throw ConformanceError("in.z1 has the shape \(z1.shape), in.z2 \(z2.shape)")
    }
    let (batch, width) = (z1.shape[0], z1.shape[1])
    var layout = Layout(alignment: 2)
    let loss = make(batch, width, &layout)
    let (z, dz) = (layout.add("z", 2 * batch, width), layout.add("dz", 2 * batch, width))
    let work = Storage(layout)
    work[z].fill(with: z1.values + z2.values)
    let value = loss(work[z], work[dz], work)
    var comparison = Comparison()
    try comparison.compare("out.loss", [value], with: tensors("out.loss").values)
    for (name, rows) in [("out.dz1", 0..<batch), ("out.dz2", batch..<2 * batch)] {
      try comparison.compare(name, work[dz].rows(rows).array(), with: tensors(name).values)
    }
    return comparison
  }
}
