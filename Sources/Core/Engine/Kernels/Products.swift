import COpenBLAS

/// A factor of a matrix product: a matrix, or the transpose of one.
package protocol Factor {
  var matrix: Matrix { get }
  static var isTransposed: Bool { get }
}

extension Matrix: Factor {
  package var matrix: Matrix { self }
  package static var isTransposed: Bool { false }

  /// The transpose, as a factor of a product; no data is copied.
  package var transposed: Transposed { Transposed(matrix: self) }
}

/// The transpose of a matrix as a factor of a product.
package struct Transposed: Factor {
  package let matrix: Matrix
  package static var isTransposed: Bool { true }
}

/// Matrix products in float32.
///
/// OpenBLAS runs only on the calling thread. Parallelism is over images (``Workers``), which needs no synchronisation
/// inside a layer.
package enum Products {
  /// Limits OpenBLAS to one thread; evaluated once, before the first product.
  static let singleThreaded: Void = openblas_set_num_threads(1)

  /// c = scale · a · b + keep · c                            a [M, K], b [K, N], c [M, N]
  ///
  /// `keep` is 0 (c is overwritten, including NaN) or 1 (the product is added to c).
  @inline(__always)
  package static func product<A: Factor, B: Factor>(
    _ a: A, _ b: B, into c: Matrix, scale: Float = 1, keep: Float = 0
  ) {
    _ = singleThreaded
    let (x, y) = (a.matrix, b.matrix)
    let (m, k) = A.isTransposed ? (x.columns, x.rows) : (x.rows, x.columns)
    let (inner, n) = B.isTransposed ? (y.columns, y.rows) : (y.rows, y.columns)
    precondition(
      k == inner && c.rows == m && c.columns == n,
      "[\(m), \(k)] · [\(inner), \(n)] into [\(c.rows), \(c.columns)]")
    guard m > 0 && n > 0 else { return }
    cblas_sgemm(
      CblasRowMajor, A.isTransposed ? CblasTrans : CblasNoTrans, B.isTransposed ? CblasTrans : CblasNoTrans,
      blasint(m), blasint(n), blasint(k), scale, x.start, blasint(max(x.stride, 1)), y.start,
      blasint(max(y.stride, 1)), keep, c.start, blasint(max(c.stride, 1)))
  }

  /// Returns OpenBLAS's rate for a product of `size` cubed with `threads` threads, the best of several runs, in
  /// operations per second. It is the reference for the engine's rate.
  package static func measureRate(size: Int = 2048, threads: Int, runs: Int = 5) -> Double {
    _ = singleThreaded
    var layout = Layout(alignment: 16)
    let (a, b) = (layout.add("a", size, size), layout.add("b", size, size))
    let c = layout.add("c", size, size)
    let storage = Storage(layout)
    Elementwise.fill(storage[a], 0.5)
    Elementwise.fill(storage[b], 0.25)
    openblas_set_num_threads(Int32(threads))
    defer { openblas_set_num_threads(1) }
    let clock = ContinuousClock()
    var best = Duration.seconds(3600)
    for _ in 0..<runs {
      best = min(best, clock.measure { product(storage[a], storage[b], into: storage[c]) })
    }
    return 2 * Double(size) * Double(size) * Double(size) / best.seconds
  }
}
