/// Rows scaled to length 1, and the gradient through that.
package enum UnitRows {
  /// u = z / ‖z‖ row by row; the lengths go to `lengths`.           z, u [R, D], lengths [1, R]
  package static func forward(_ z: Matrix, into u: Matrix, lengths: Matrix) {
    precondition(z.rows == u.rows && z.columns == u.columns && lengths.count >= z.rows)
    for r in 0..<z.rows {
      let (from, to) = (z.row(r), u.row(r))
      // The bound keeps a row of zeros finite.
      let length = max(Elementwise.dot(from, from, count: z.columns).squareRoot(), 1e-12)
      lengths.start[r] = length
      for c in 0..<z.columns { to[c] = from[c] / length }
    }
  }

  /// dz += scale (du - u (u·du)) / ‖z‖ row by row.                  du, u, dz [R, D]
  package static func backward(
    _ du: Matrix, output u: Matrix, lengths: Matrix, adding dz: Matrix, scale: Float
  ) {
    for r in 0..<u.rows {
      let (d, unit, to) = (du.row(r), u.row(r), dz.row(r))
      let along = Elementwise.dot(unit, d, count: u.columns)
      let factor = scale / lengths.start[r]
      for c in 0..<u.columns { to[c] += factor * (d[c] - unit[c] * along) }
    }
  }
}
