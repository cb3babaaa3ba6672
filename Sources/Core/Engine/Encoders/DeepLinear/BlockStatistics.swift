/// What a client's rows contribute to the exact step of a block of a deep linear network: sums over the rows, so those of
/// several clients are added without weights, and the step is that of all their rows.
///
/// With the second moments of the block's inputs B [n_{l-1}, m], a step takes one exchange. Without them the server sends
/// the sum of the gradients G, and each client answers ‖A G B‖² of its rows, which are added, too.
package struct BlockStatistics: Sendable, Hashable {
  package let block: Int
  /// ½ ‖f(X) - Y‖².
  package private(set) var loss: Double
  /// G = Aᵀ (f(X) - Y) Bᵀ [n_l, n_{l-1}], in order of the rows.
  package private(set) var gradient: [Double]
  /// The upper triangle of B Bᵀ [n_{l-1}, n_{l-1}] with its diagonal, in order of the rows; nil if they are not sent.
  package private(set) var moments: [Double]?

  package init(block: Int, loss: Double, gradient: [Double], moments: [Double]?) {
    (self.block, self.loss, self.gradient, self.moments) = (block, loss, gradient, moments)
  }

  /// Computes the statistics of some rows.
  package init(
    of block: Int, _ network: DeepLinearNetwork, _ rows: RowStatistics, moments needsMoments: Bool
  ) {
    let (height, width) = network.shape.matrix(block)
    let gradient = DoubleBox(height, width)
    let loss = network.gradient(of: block, rows, into: gradient.matrix)
    self.init(block: block, loss: loss, gradient: gradient.matrix.array(), moments: nil)
    guard needsMoments else { return }
    let square = DoubleBox(width, width)
    network.moments(of: block, rows, into: square.matrix)
    moments = Self.pack(square.matrix)
  }

  /// Returns the sum of these statistics and those of other rows.
  package func adding(_ other: BlockStatistics) -> BlockStatistics {
    precondition(
      block == other.block && gradient.count == other.gradient.count
        && moments?.count == other.moments?.count,
      "blocks \(block) and \(other.block)")
    return BlockStatistics(
      block: block, loss: loss + other.loss, gradient: zip(gradient, other.gradient).map(+),
      moments: moments.flatMap { own in other.moments.map { zip(own, $0).map(+) } })
  }

  /// Returns the upper triangle of a symmetric matrix in order of the rows.
  private static func pack(_ matrix: DoubleMatrix) -> [Double] {
    (0..<matrix.rows).flatMap { row in (row..<matrix.columns).map { matrix[row, $0] } }
  }

  /// Returns the symmetric matrix [size, size] with this upper triangle.
  package static func unpack(_ triangle: [Double], size: Int) -> DoubleBox {
    precondition(triangle.count == size * (size + 1) / 2, "\(triangle.count) elements for \(size) squared")
    let box = DoubleBox(size, size)
    var next = 0
    for row in 0..<size {
      for column in row..<size {
        box.matrix[row, column] = triangle[next]
        next += 1
      }
    }
    box.matrix.mirror()
    return box
  }
}

extension DeepLinearNetwork {
  /// Updates a block by the exact rate for the rows of statistics with second moments. Returns the rate.
  @discardableResult
  package func step(_ statistics: BlockStatistics) -> Double {
    guard let moments = statistics.moments else { preconditionFailure("statistics without moments") }
    let block = statistics.block
    let (rows, columns) = shape.matrix(block)
    let gradient = DoubleBox(rows, columns)
    gradient.matrix.set(statistics.gradient)
    let square = BlockStatistics.unpack(moments, size: columns)
    let curvature = curvature(of: block, along: gradient.matrix, moments: square.matrix)
    return step(block, along: gradient.matrix, curvature: curvature)
  }
}
