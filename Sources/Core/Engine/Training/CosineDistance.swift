/// BYOL's loss (arXiv 2006.07733, equation 2): 2 - 2 cos(q, k), the mean over the batch; the keys get no
/// gradient.
///
/// B images, P = width of a projection.
package struct CosineDistance: Sendable {
  private let unitQueries, unitKeys, gradient, queryLengths, keyLengths: Slot

  /// Adds the loss's work space for batches of `batch` images to a layout.
  package init(batch: Int, width: Int, in layout: inout Layout) {
    unitQueries = layout.add("unit queries", batch, width)
    unitKeys = layout.add("unit keys", batch, width)
    gradient = layout.add("unit gradients", batch, width)
    queryLengths = layout.add("query lengths", batch)
    keyLengths = layout.add("key lengths", batch)
  }

  /// Returns the loss and adds its gradient to dq.                             q, k, dq [B, P]
  package func loss(_ q: Matrix, _ k: Matrix, adding dq: Matrix, _ work: borrowing Storage) -> Float {
    let (uq, uk, du) = (work[unitQueries], work[unitKeys], work[gradient])
    precondition(q.rows == uq.rows && k.rows == uk.rows && q.columns == uq.columns)
    UnitRows.forward(q, into: uq, lengths: work[queryLengths])
    UnitRows.forward(k, into: uk, lengths: work[keyLengths])
    var total: Double = 0
    let scale = -2 / Float(q.rows)
    for r in 0..<q.rows {
      total += 2 - 2 * Double(Elementwise.dot(uq.row(r), uk.row(r), count: q.columns))
      for c in 0..<q.columns { du[r, c] = scale * uk[r, c] }
    }
    UnitRows.backward(du, output: uq, lengths: work[queryLengths], adding: dq, scale: 1)
    return Float(total / Double(q.rows))
  }
}
