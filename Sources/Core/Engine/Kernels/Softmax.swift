import Foundation

/// Softmax of rows, and its backward pass.
package enum Softmax {
  /// Replaces each row with its softmax, in place.              x [R, D]
  package static func forward(_ x: Matrix) {
    for r in 0..<x.rows { _ = exponentials(x.row(r), count: x.columns) }
  }

  /// Replaces a row with its softmax, in place; returns log Σ e^x.
  ///
  /// An element of -infinity becomes 0 to within e^-87 of the row's largest.
  @inline(__always)
  package static func row(_ x: UnsafeMutablePointer<Float>, count: Int) -> Float {
    let (largest, sum) = exponentials(x, count: count)
    return largest + log(sum)
  }

  /// Replaces a row with its softmax, in place; returns its largest element and Σ e^(x - largest).
  @inline(__always)
  private static func exponentials(
    _ x: UnsafeMutablePointer<Float>, count: Int
  ) -> (largest: Float, sum: Float) {
    let largest = largest(x, count: count)
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
    return (largest, sum)
  }

  @inline(__always)
  private static func largest(_ x: UnsafePointer<Float>, count: Int) -> Float {
    var most = Vector(repeating: x[0])
    var rest = x[0]
    Elementwise.sweep(count) {
      let v = Vector.load(x + $0)
      most = most.replacing(with: v, where: v .> most)
    } scalar: {
      rest = x[$0] > rest ? x[$0] : rest
    }
    return max(most.max(), rest)
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
