/// The projection of samples on the two directions in which they vary most, in float64 from float32 rows.
///
/// N samples [N, D], centred to X: the coordinates are the eigenvectors of X Xᵀ, scaled by the roots of their
/// eigenvalues λ; the share of the variance is λ / Σ λ. Of the two signs of a direction, the one counts in which the
/// coordinate of the largest magnitude is positive; of magnitudes that are equal to a millionth, that of the first
/// sample.
package struct PrincipalComponents: Sendable, Hashable {
  /// The coordinates of each sample, the direction of the larger variance first; 0 where the samples do not vary.
  package let points: [SIMD2<Double>]
  /// The shares of the variance of both directions, 0 … 1; 0 where the samples do not vary.
  package let explained: SIMD2<Double>

  /// Nil if a sample is not finite.
  package init?(_ x: Matrix) {
    let count = x.rows
    var layout = Layout(alignment: 16)
    let centred = layout.addDoubles("centred samples", count, x.columns)
    let products = layout.addDoubles("products", count, count)
    let eigenproblem = SymmetricEigenproblem(size: count, in: &layout)
    let work = Storage(layout)
    let (rows, gram) = (work[centred], work[products])
    rows.copy(x)
    // Variances below float32's resolution of the samples are rounding errors.
    let least = rows.inner(rows) * 1e-14
    for c in 0..<x.columns {
      let mean = (0..<count).reduce(0) { $0 + rows[$1, c] } / Double(max(count, 1))
      for r in 0..<count { rows[r, c] -= mean }
    }
    DoubleProducts.addRowProducts(rows, to: gram, keep: 0)
    gram.mirror()
    var variance = 0.0
    for r in 0..<count { variance += gram[r, r] }
    guard gram.inner(gram).isFinite, let values = eigenproblem.solve(gram, vectors: true, work) else {
      return nil
    }
    var (points, explained) = ([SIMD2<Double>](repeating: .zero, count: count), SIMD2<Double>.zero)
    for direction in 0..<min(2, count) {
      let index = count - 1 - direction
      let value = values[0, index]
      guard value > least, variance > 0 else { continue }
      let vector = gram.row(index)
      let largest = (0..<count).reduce(0) { max($0, abs(vector[$1])) }
      let first = (0..<count).first { abs(vector[$0]) >= largest * (1 - 1e-6) } ?? 0
      let scale = (vector[first] < 0 ? -1 : 1) * value.squareRoot()
      for r in 0..<count { points[r][direction] = scale * vector[r] }
      explained[direction] = value / variance
    }
    (self.points, self.explained) = (points, explained)
  }
}
