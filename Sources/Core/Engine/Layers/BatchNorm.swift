/// Batch normalisation with the statistics of the batch (arXiv 1502.03167): y = x̂ ⊙ w + b.
///
/// B rows, C columns; the statistics are computed per column, one view at a time. There are no running statistics,
/// because the heads that use this layer are discarded after training.
package struct BatchNorm: Sendable {
  /// Weight and bias; nil in the last layer of a head.
  package let affine: Affine?
  package let epsilon: Float

  package struct Affine: Sendable {
    package let weight: Slot
    package let bias: Slot
  }

  package init(
    _ name: String, width: Int, affine isAffine: Bool, epsilon: Float = 1e-5, in layout: inout Layout
  ) {
    affine =
      isAffine
      ? Affine(weight: layout.add("\(name).weight", width), bias: layout.add("\(name).bias", width)) : nil
    self.epsilon = epsilon
  }

  /// The values kept for the backward pass: x̂ [B, C] and 1 / √(variance + ε) [1, C].
  package struct Trace {
    package let normalised: Matrix
    package let scale: Matrix
  }

  /// y = x̂ ⊙ w + b, or x̂ without the affine part.                      x, y [B, C]; y may be x.
  package func forward(_ x: Matrix, into y: Matrix, _ trace: Trace, _ parameters: borrowing Storage) {
    precondition(x.rows == trace.normalised.rows && x.columns == trace.normalised.columns)
    let rows = Float(x.rows)
    for c in 0..<x.columns {
      var mean: Float = 0
      for r in 0..<x.rows { mean += x[r, c] }
      mean /= rows
      var variance: Float = 0
      for r in 0..<x.rows { variance += (x[r, c] - mean) * (x[r, c] - mean) }
      let scale = 1 / (variance / rows + epsilon).squareRoot()
      trace.scale[0, c] = scale
      for r in 0..<x.rows { trace.normalised[r, c] = (x[r, c] - mean) * scale }
    }
    Elementwise.copy(trace.normalised, to: y)
    guard let affine else { return }
    let (w, b) = (parameters[affine.weight].start, parameters[affine.bias].start)
    for r in 0..<y.rows {
      let row = y.row(r)
      for c in 0..<y.columns { row[c] = row[c] * w[c] + b[c] }
    }
  }

  /// dx = scale (dx̂ - mean dx̂ - x̂ mean(dx̂ ⊙ x̂)) with dx̂ = dy ⊙ w,  dw += Σ dy ⊙ x̂,  db += Σ dy
  ///
  /// In place: dy becomes dx.                                               dy [B, C]
  package func backward(
    _ dy: Matrix, _ trace: Trace, _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    let rows = Float(dy.rows)
    for c in 0..<dy.columns {
      var (sum, product): (Float, Float) = (0, 0)
      for r in 0..<dy.rows {
        sum += dy[r, c]
        product += dy[r, c] * trace.normalised[r, c]
      }
      var weight: Float = 1
      if let affine {
        weight = parameters[affine.weight][0, c]
        gradients[affine.weight][0, c] += product
        gradients[affine.bias][0, c] += sum
      }
      let scale = trace.scale[0, c] * weight
      let (mean, correlation) = (sum / rows, product / rows)
      for r in 0..<dy.rows { dy[r, c] = scale * (dy[r, c] - mean - trace.normalised[r, c] * correlation) }
    }
  }
}
