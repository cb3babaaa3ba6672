/// The loss of a classifier: -log softmax(y)[label], the mean over the rows.
///
/// B images, C classes.
package enum CrossEntropy {
  /// Returns the loss of logits; they become its gradient, (softmax(y) - one-hot) / B, in place.   y [B, C]
  package static func loss(_ y: Matrix, label: (Int) -> Int) -> Float {
    var total: Double = 0
    let scale = 1 / Float(y.rows)
    for r in 0..<y.rows {
      let label = label(r)
      let own = y[r, label]
      total += Double(Softmax.row(y.row(r), count: y.columns) - own)
      y[r, label] -= 1
      for c in 0..<y.columns { y[r, c] *= scale }
    }
    return Float(total / Double(y.rows))
  }
}
