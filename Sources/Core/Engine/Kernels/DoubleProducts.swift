import COpenBLAS

/// Matrix products in float64. OpenBLAS runs only on the calling thread, as for ``Products``.
enum DoubleProducts {
  /// c = scale · a · b                                       a [M, K], b [K, N], c [M, N]
  static func product(_ a: DoubleMatrix, _ b: DoubleMatrix, into c: DoubleMatrix, scale: Double = 1) {
    _ = Products.singleThreaded
    precondition(
      a.columns == b.rows && c.rows == a.rows && c.columns == b.columns,
      "[\(a.rows), \(a.columns)] · [\(b.rows), \(b.columns)] into [\(c.rows), \(c.columns)]")
    guard c.count > 0 else { return }
    cblas_dgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(c.rows), blasint(c.columns), blasint(a.columns),
      scale, a.start, blasint(max(a.columns, 1)), b.start, blasint(b.columns), 0, c.start,
      blasint(c.columns))
  }

  /// g = a · aᵀ + keep · g in the upper triangle and on the diagonal; the lower triangle stays as it is.
  /// a [N, K], g [N, N]
  ///
  /// `keep` is 0 (g is overwritten, including NaN) or 1.
  static func addRowProducts(_ a: DoubleMatrix, to g: DoubleMatrix, keep: Double) {
    _ = Products.singleThreaded
    precondition(g.rows == a.rows && g.columns == a.rows, "\(a.rows) rows into \(g.rows) x \(g.columns)")
    guard g.count > 0 else { return }
    cblas_dsyrk(
      CblasRowMajor, CblasUpper, CblasNoTrans, blasint(a.rows), blasint(a.columns), 1, a.start,
      blasint(max(a.columns, 1)), keep, g.start, blasint(g.columns))
  }

  /// g = scale · aᵀ · a                                      a [K, N], g [N, N]
  static func columnProducts(_ a: DoubleMatrix, into g: DoubleMatrix, scale: Double) {
    _ = Products.singleThreaded
    precondition(
      g.rows == a.columns && g.columns == a.columns, "\(a.columns) columns into \(g.rows) x \(g.columns)")
    guard g.count > 0 else { return }
    cblas_dsyrk(
      CblasRowMajor, CblasUpper, CblasTrans, blasint(a.columns), blasint(a.rows), scale, a.start,
      blasint(a.columns), 0, g.start, blasint(g.columns))
    g.mirror()
  }

  /// Replaces a symmetric positive definite matrix [N, N] with its inverse, by its Cholesky factor. Returns
  /// false if it is not positive definite; its elements are undefined then.
  static func invert(_ a: DoubleMatrix) -> Bool {
    _ = Products.singleThreaded
    precondition(a.rows == a.columns, "\(a.rows) x \(a.columns)")
    guard a.rows > 0 else { return true }
    var (n, info): (blasint, blasint) = (blasint(a.rows), 0)
    // LAPACK stores columns: its lower triangle is the upper one of rows.
    dpotrf_("L", &n, a.start, &n, &info, 1)
    guard info == 0 else { return false }
    dpotri_("L", &n, a.start, &n, &info, 1)
    guard info == 0 else { return false }
    a.mirror()
    return true
  }
}

/// Eigenvalues and eigenvectors of symmetric matrices [N, N] in float64, by LAPACK's divide and conquer, in
/// the memory of a layout.
struct SymmetricEigenproblem: Sendable {
  private let values, work, integers: DoubleSlot

  init(size: Int, in layout: inout Layout) {
    values = layout.addDoubles("eigenvalues", 1, size)
    work = layout.addDoubles("eigenvalue work", 1, 1 + 6 * size + 2 * size * size)
    integers = layout.addDoubles("eigenvalue integers", 1, 3 + 5 * size)
  }

  /// Returns the ascending eigenvalues [1, N] of a symmetric matrix of finite numbers; nil if they do not
  /// converge. The matrix is overwritten, with the eigenvectors as its rows if `vectors`.
  func solve(_ matrix: DoubleMatrix, vectors: Bool, _ storage: borrowing Storage) -> DoubleMatrix? {
    _ = Products.singleThreaded
    let (values, work) = (storage[values], storage[work])
    precondition(
      matrix.rows == values.columns && matrix.columns == values.columns,
      "\(matrix.rows) x \(matrix.columns) instead of \(values.columns) squared")
    let integers = storage[integers]
    let whole = UnsafeMutableRawPointer(integers.start).bindMemory(
      to: blasint.self, capacity: integers.count)
    var (n, info): (blasint, blasint) = (blasint(matrix.rows), 0)
    guard n > 0 else { return values }
    var (workSize, integersSize) = (blasint(work.count), blasint(integers.count))
    // A string that is not a literal would be copied to new memory.
    var job = CChar(UInt8(ascii: vectors ? "V" : "N"))
    dsyevd_(
      &job, "L", &n, matrix.start, &n, values.start, work.start, &workSize, whole, &integersSize, &info, 1,
      1)
    return info == 0 ? values : nil
  }
}
