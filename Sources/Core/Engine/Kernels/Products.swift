import COpenBLAS

/// Matrix products: the one file that calls OpenBLAS.
///
/// OpenBLAS runs on the calling thread alone; parallelism is over images (``Workers``), which needs no
/// synchronisation inside a layer.
package enum Products {
  /// Keeps OpenBLAS to one thread; evaluated once, before the first product.
  private static let singleThreaded: Void = openblas_set_num_threads(1)

  /// How an operand enters a product.
  package enum Form {
    case plain
    case transposed
  }

  /// c = scale · op(a) · op(b) + keep · c        op(a) [M, K], op(b) [K, N], c [M, N]
  ///
  /// `keep` is 0 (c is overwritten, whatever it held) or 1 (the product is added to c).
  @inline(__always)
  package static func product(
    _ a: Matrix, _ formA: Form = .plain, _ b: Matrix, _ formB: Form = .plain, into c: Matrix,
    scale: Float = 1, keep: Float = 0
  ) {
    _ = singleThreaded
    let (m, k) = formA == .plain ? (a.rows, a.columns) : (a.columns, a.rows)
    let (k2, n) = formB == .plain ? (b.rows, b.columns) : (b.columns, b.rows)
    precondition(
      k == k2 && c.rows == m && c.columns == n,
      "[\(m), \(k)] · [\(k2), \(n)] into [\(c.rows), \(c.columns)]")
    guard m > 0 && n > 0 else { return }
    cblas_sgemm(
      CblasRowMajor, formA == .plain ? CblasNoTrans : CblasTrans, formB == .plain ? CblasNoTrans : CblasTrans,
      blasint(m), blasint(n), blasint(k), scale, a.start, blasint(max(a.stride, 1)), b.start,
      blasint(max(b.stride, 1)), keep, c.start, blasint(max(c.stride, 1)))
  }
}
