/// The contrastive loss of MoCo v3 (arXiv 2104.02057, equation 1): the positive of a query is its key, the negatives
/// are the other keys of the batch.
///
/// B images, P = width of a projection. The cross-entropy of q̂·k̂ᵀ / τ with the diagonal as positives, averaged over
/// the batch; the keys have no gradient.
package struct InfoNCE: Sendable {
  private let pairs: UnitPairs
  private let similarities: Slot

  /// Adds the loss's work space for batches of `batch` images to a layout.
  package init(batch: Int, width: Int, in layout: inout Layout) {
    pairs = UnitPairs(batch: batch, width: width, in: &layout)
    similarities = layout.add("similarities", batch, batch)
  }

  /// Returns the loss and adds `weight` times its gradient to dq.         q, k, dq [B, P]
  package func loss(
    _ q: Matrix, _ k: Matrix, adding dq: Matrix, temperature: Float, weight: Float = 1,
    _ work: borrowing Storage
  ) -> Float {
    let ((uq, uk, du), s) = (pairs.forward(q, k, work), work[similarities])
    Products.product(uq, uk.transposed, into: s, scale: 1 / temperature)
    var total: Double = 0
    for r in 0..<q.rows {
      let similarity = s[r, r]
      total += Double(Softmax.row(s.row(r), count: q.rows) - similarity)
      s[r, r] -= 1
    }
    Products.product(s, uk, into: du, scale: 1 / (Float(q.rows) * temperature))
    pairs.backward(adding: dq, scale: weight, work)
    return Float(total / Double(q.rows))
  }
}

/// Queries and keys normalised to length 1 for losses of cosines, and the backward pass to the queries.
///
/// B images, P = width of a projection.
struct UnitPairs: Sendable {
  private let queries, keys, gradient, queryLengths, keyLengths: Slot

  init(batch: Int, width: Int, in layout: inout Layout) {
    queries = layout.add("unit queries", batch, width)
    keys = layout.add("unit keys", batch, width)
    gradient = layout.add("unit gradients", batch, width)
    queryLengths = layout.add("query lengths", batch)
    keyLengths = layout.add("key lengths", batch)
  }

  /// Returns queries and keys of length 1, and the memory for the gradient of the unit queries.   q, k, all three [B,
  /// P]
  func forward(_ q: Matrix, _ k: Matrix, _ work: borrowing Storage) -> (
    queries: Matrix, keys: Matrix, gradient: Matrix
  ) {
    let (uq, uk) = (work[queries], work[keys])
    precondition(
      q.rows == uq.rows && k.rows == uk.rows && q.columns == uq.columns,
      "\(q.rows) x \(q.columns) queries and \(k.rows) keys for \(uq.rows) x \(uq.columns)")
    UnitRows.forward(q, into: uq, lengths: work[queryLengths])
    UnitRows.forward(k, into: uk, lengths: work[keyLengths])
    return (uq, uk, work[gradient])
  }

  /// Adds `scale` times the gradient of the queries to dq [B, P].
  func backward(adding dq: Matrix, scale: Float, _ work: borrowing Storage) {
    UnitRows.backward(
      work[gradient], output: work[queries], lengths: work[queryLengths], adding: dq, scale: scale)
  }
}
