import COpenBLAS

/// Eigenvalues of symmetric matrices, by LAPACK.
package enum Eigenvalues {
  /// The eigenvalues of a symmetric matrix [N, N], which is overwritten, rising; nil where it has a number
  /// that is not finite.
  package static func of(_ matrix: Matrix) -> [Float]? {
    precondition(matrix.rows == matrix.columns && matrix.isContiguous, "\(matrix.rows) x \(matrix.columns)")
    guard (0..<matrix.count).allSatisfy({ matrix.start[$0].isFinite }) else { return nil }
    var (n, info): (blasint, blasint) = (blasint(matrix.rows), 0)
    guard n > 0 else { return [] }
    var values = [Float](repeating: 0, count: matrix.rows)
    var workSize = blasint(34 * matrix.rows)
    var work = [Float](repeating: 0, count: Int(workSize))
    ssyev_("N", "U", &n, matrix.start, &n, &values, &work, &workSize, &info)
    return info == 0 ? values : nil
  }
}
