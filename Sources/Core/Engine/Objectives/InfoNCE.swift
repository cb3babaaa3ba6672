/// The contrastive loss of MoCo v3 (arXiv 2104.02057, equation 1): each query's key is its positive, the
/// other keys of the batch its negatives.
///
/// B images, P = width of a projection. Cross-entropy of q̂·k̂ᵀ / τ with the diagonal as positives, the mean
/// over the batch; the keys get no gradient.
package struct InfoNCE: Sendable {
  private let unitQueries, unitKeys, gradient, queryLengths, keyLengths, similarities: Slot

  /// Adds the loss's work space for batches of `batch` images to a layout.
  package init(batch: Int, width: Int, in layout: inout Layout) {
    unitQueries = layout.add("unit queries", batch, width)
    unitKeys = layout.add("unit keys", batch, width)
    gradient = layout.add("unit gradients", batch, width)
    queryLengths = layout.add("query lengths", batch)
    keyLengths = layout.add("key lengths", batch)
    similarities = layout.add("similarities", batch, batch)
  }

  /// Returns the loss and adds `weight` times its gradient to dq.         q, k, dq [B, P]
  package func loss(
    _ q: Matrix, _ k: Matrix, adding dq: Matrix, temperature: Float, weight: Float = 1,
    _ work: borrowing Storage
  ) -> Float {
    let (uq, uk, du, s) = (work[unitQueries], work[unitKeys], work[gradient], work[similarities])
    precondition(q.rows == uq.rows && k.rows == uk.rows && q.columns == uq.columns)
    UnitRows.forward(q, into: uq, lengths: work[queryLengths])
    UnitRows.forward(k, into: uk, lengths: work[keyLengths])
    Products.product(uq, uk.transposed, into: s, scale: 1 / temperature)
    var total: Double = 0
    for r in 0..<q.rows {
      let similarity = s[r, r]
      total += Double(Softmax.row(s.row(r), count: q.rows) - similarity)
      s[r, r] -= 1
    }
    Products.product(s, uk, into: du, scale: 1 / (Float(q.rows) * temperature))
    UnitRows.backward(du, output: uq, lengths: work[queryLengths], adding: dq, scale: weight)
    return Float(total / Double(q.rows))
  }
}
