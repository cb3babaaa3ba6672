import Foundation

/// Softmax over rows, and its backward pass.
package enum Softmax {
  /// Each row becomes its softmax, in place.                    x [R, D]
  package static func forward(_ x: Matrix) {
    for r in 0..<x.rows { _ = row(x.row(r), count: x.columns) }
  }

  /// One row becomes its softmax, in place; returns log Σ e^x.
  ///
  /// An element of -infinity becomes 0 to within e^-87 of the row's largest.
  @inline(__always)
  package static func row(_ x: UnsafeMutablePointer<Float>, count: Int) -> Float {
    var largest = x[0]
    for i in 1..<max(count, 1) { largest = max(largest, x[i]) }
    var sums = Vector.zero
    var rest: Float = 0
    Elementwise.sweep(count) {
      let e = Vector.exp(Vector.load(x + $0) - largest)
      e.store(x + $0)
      sums += e
    } scalar: {
      let e = Vector.exp(Vector(repeating: x[$0] - largest))[0]
      x[$0] = e
      rest += e
    }
    let sum = sums.sum() + rest
    let scale = 1 / sum
    Elementwise.sweep(count) {
      (Vector.load(x + $0) * scale).store(x + $0)
    } scalar: {
      x[$0] *= scale
    }
    return largest + log(sum)
  }

  /// dx = y ⊙ (dy - Σ dy ⊙ y), in place of dy.                  y, dy [R, D]
  package static func backward(_ dy: Matrix, output y: Matrix) {
    precondition(y.rows == dy.rows && y.columns == dy.columns)
    for r in 0..<y.rows {
      let (output, row) = (y.row(r), dy.row(r))
      let mean = Elementwise.dot(output, row, count: y.columns)
      Elementwise.sweep(y.columns) {
        (Vector.load(output + $0) * (Vector.load(row + $0) - mean)).store(row + $0)
      } scalar: {
        row[$0] = output[$0] * (row[$0] - mean)
      }
    }
  }
}
