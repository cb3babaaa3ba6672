import COpenBLAS

/// Matrix products in float64. OpenBLAS runs only on the calling thread, as for ``Products``.
enum DoubleProducts {
  /// c = scale · a · b + keep · c                            a [M, K], b [K, N], c [M, N]
  ///
  /// `transposed` names the factors of which the transposes are multiplied. With `keep` 0, c is overwritten, including
  /// NaN.
  static func product(
    _ a: DoubleMatrix, _ b: DoubleMatrix, into c: DoubleMatrix, scale: Double = 1, keep: Double = 0,
    transposed: Factors = []
  ) {
    _ = Products.singleThreaded
    let (m, k) = transposed.contains(.a) ? (a.columns, a.rows) : (a.rows, a.columns)
    let (l, n) = transposed.contains(.b) ? (b.columns, b.rows) : (b.rows, b.columns)
    precondition(
      k == l && c.rows == m && c.columns == n,
      "[\(m), \(k)] · [\(l), \(n)] into [\(c.rows), \(c.columns)]")
    guard c.count > 0 else { return }
    cblas_dgemm(
      CblasRowMajor, transposed.contains(.a) ? CblasTrans : CblasNoTrans,
      transposed.contains(.b) ? CblasTrans : CblasNoTrans, blasint(m), blasint(n), blasint(k), scale, a.start,
      blasint(max(a.columns, 1)), b.start, blasint(max(b.columns, 1)), keep, c.start, blasint(n))
  }

  /// Factors of a product a · b.
  struct Factors: OptionSet {
    let rawValue: Int

    static let a = Factors(rawValue: 1)
    static let b = Factors(rawValue: 2)
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

  /// g = scale · aᵀ · a + keep · g                           a [K, N], g [N, N]
  ///
  /// `keep` is 0 (g is overwritten, including NaN) or 1. Both triangles are filled.
  static func columnProducts(_ a: DoubleMatrix, into g: DoubleMatrix, scale: Double, keep: Double = 0) {
    _ = Products.singleThreaded
    precondition(
      g.rows == a.columns && g.columns == a.columns, "\(a.columns) columns into \(g.rows) x \(g.columns)")
    guard g.count > 0 else { return }
    cblas_dsyrk(
      CblasRowMajor, CblasUpper, CblasTrans, blasint(a.columns), blasint(a.rows), scale, a.start,
      blasint(a.columns), keep, g.start, blasint(g.columns))
    g.mirror()
  }

  /// Replaces a matrix [K, N] of full rank, N ≤ K, with the Q [K, N] of its QR factorisation in which the diagonal of R is
  /// positive. If its elements are independent and normal, Q is uniformly distributed (Mezzadri, math-ph/0609050).
  static func orthonormalise(_ a: DoubleMatrix) {
    _ = Products.singleThreaded
    precondition(a.columns <= a.rows, "\(a.rows) x \(a.columns)")
    guard a.columns > 0 else { return }
    // LAPACK stores columns.
    var columns = (0..<a.columns).flatMap { c in (0..<a.rows).map { a[$0, c] } }
    var (k, n, info): (blasint, blasint, blasint) = (blasint(a.rows), blasint(a.columns), 0)
    var factors = [Double](repeating: 0, count: a.columns)
    var workSize = blasint(64 * a.columns)
    var work = [Double](repeating: 0, count: Int(workSize))
    dgeqrf_(&k, &n, &columns, &k, &factors, &work, &workSize, &info)
    precondition(info == 0, "dgeqrf \(info)")
    let signs = (0..<a.columns).map { columns[$0 * a.rows + $0] < 0 ? -1.0 : 1 }
    var reflectors = n
    dorgqr_(&k, &n, &reflectors, &columns, &k, &factors, &work, &workSize, &info)
    precondition(info == 0, "dorgqr \(info)")
    for c in 0..<a.columns {
      for r in 0..<a.rows { a[r, c] = signs[c] * columns[c * a.rows + r] }
    }
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
