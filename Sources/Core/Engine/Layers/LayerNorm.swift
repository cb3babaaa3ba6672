/// Layer normalisation (arXiv 1607.06450): y = x̂ ⊙ w + b with x̂ = (x - mean) / √(variance + ε).
///
/// R rows, D = width; the statistics are computed per row.
package struct LayerNorm: Sendable {
  package let weight: Slot
  package let bias: Slot
  package let epsilon: Float

  package init(_ name: String, width: Int, epsilon: Float = 1e-6, in layout: inout Layout) {
    weight = layout.add("\(name).weight", width)
    bias = layout.add("\(name).bias", width)
    self.epsilon = epsilon
  }

  /// The values kept for the backward pass: x̂ [R, D] and 1 / √(variance + ε) [R, 1].
  package struct Trace {
    package let normalised: Matrix
    package let scale: Matrix
  }

  /// The slots of a trace of `rows` rows.
  package struct TracePlan: Sendable {
    let normalised: Slot
    let scale: Slot

    package init(rows: Int, width: Int, in layout: inout Layout) {
      normalised = layout.add("normalised", rows, width)
      scale = layout.add("scale", rows, 1)
    }

    package func trace(_ storage: borrowing Storage, rows: Range<Int>) -> Trace {
      Trace(normalised: storage[normalised].rows(rows), scale: storage[scale].rows(rows))
    }
  }

  /// Writes x̂ and the scale to the trace, and y = x̂ ⊙ w + b to `y`.  x, y [R, D]
  package func forward(_ x: Matrix, into y: Matrix, _ trace: Trace, _ parameters: borrowing Storage) {
    precondition(x.rows == y.rows && x.columns == y.columns && trace.normalised.rows == x.rows)
    let count = x.columns
    for r in 0..<x.rows {
      let (from, to) = (x.row(r), trace.normalised.row(r))
      let mean = Elementwise.sum(from, count: count) / Float(count)
      Elementwise.sweep(count) {
        (Vector.load(from + $0) - mean).store(to + $0)
      } scalar: {
        to[$0] = from[$0] - mean
      }
      let variance = Elementwise.dot(to, to, count: count) / Float(count)
      let scale = 1 / (variance + epsilon).squareRoot()
      trace.scale[r, 0] = scale
      Elementwise.sweep(count) {
        (Vector.load(to + $0) * scale).store(to + $0)
      } scalar: {
        to[$0] *= scale
      }
    }
    output(trace, into: y, parameters)
  }

  /// Recomputes y = x̂ ⊙ w + b from the trace, which is cheaper than keeping it.
  package func output(_ trace: Trace, into y: Matrix, _ parameters: borrowing Storage) {
    let (w, b) = (parameters[weight].start, parameters[bias].start)
    for r in 0..<y.rows {
      let (from, to) = (trace.normalised.row(r), y.row(r))
      Elementwise.sweep(y.columns) {
        (Vector.load(from + $0) * Vector.load(w + $0) + Vector.load(b + $0)).store(to + $0)
      } scalar: {
        to[$0] = from[$0] * w[$0] + b[$0]
      }
    }
  }

  /// dx += scale (dx̂ - mean dx̂ - x̂ mean(dx̂ ⊙ x̂)) with dx̂ = dy ⊙ w,  dw += Σ dy ⊙ x̂,  db += Σ dy
  ///
  /// It adds to dx, because every normalisation is at the start of a residual branch.
  package func backward(
    _ dy: Matrix, _ trace: Trace, adding dx: Matrix?, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage
  ) {
    let count = dy.columns
    let w = parameters[weight].start
    if !gradients.isEmpty { addGradients(dy, trace, gradients[weight].start, gradients[bias].start) }
    guard let dx else { return }
    for r in 0..<dy.rows {
      let (d, n) = (dy.row(r), trace.normalised.row(r))
      var (sums, products) = (Vector.zero, Vector.zero)
      var (sum, product): (Float, Float) = (0, 0)
      Elementwise.sweep(count) {
        let (gradient, normalised) = (Vector.load(d + $0), Vector.load(n + $0))
        let scaled = gradient * Vector.load(w + $0)
        sums += scaled
        products += scaled * normalised
      } scalar: {
        sum += d[$0] * w[$0]
        product += d[$0] * w[$0] * n[$0]
      }
      let mean = (sums.sum() + sum) / Float(count)
      let correlation = (products.sum() + product) / Float(count)
      let scale = trace.scale[r, 0]
      let to = dx.row(r)
      Elementwise.sweep(count) {
        let scaled = Vector.load(d + $0) * Vector.load(w + $0)
        let change = (scaled - mean - Vector.load(n + $0) * correlation) * scale
        (Vector.load(to + $0) + change).store(to + $0)
      } scalar: {
        to[$0] += scale * (d[$0] * w[$0] - mean - n[$0] * correlation)
      }
    }
  }

  /// dw += Σ dy ⊙ x̂,  db += Σ dy
  private func addGradients(
    _ dy: Matrix, _ trace: Trace, _ dw: UnsafeMutablePointer<Float>, _ db: UnsafeMutablePointer<Float>
  ) {
    for r in 0..<dy.rows {
      let (d, n) = (dy.row(r), trace.normalised.row(r))
      Elementwise.sweep(dy.columns) {
        let gradient = Vector.load(d + $0)
        (Vector.load(dw + $0) + gradient * Vector.load(n + $0)).store(dw + $0)
        (Vector.load(db + $0) + gradient).store(db + $0)
      } scalar: {
        dw[$0] += d[$0] * n[$0]
        db[$0] += d[$0]
      }
    }
  }
}
