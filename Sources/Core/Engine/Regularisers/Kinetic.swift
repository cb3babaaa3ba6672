/// Σ mean(r²) / (2 τ) over the residual branches r that train: the kinetic energy of the step from a block's input to its
/// output (TRGL, arXiv 2210.00949; 2309.17357). A small τ is a strong term.
package struct Kinetic: BranchPenalty {
  package let name = "kinetic"
  /// τ, greater than 0.
  package let tau: Float

  package init(tau: Float) { self.tau = tau }

  package func loss(_ branch: Matrix, of count: Int, adding gradient: Matrix) -> Float {
    var square: Double = 0
    let scale = 1 / (tau * Float(count))
    for row in 0..<branch.rows {
      let (r, d) = (branch.row(row), gradient.row(row))
      square += Double(Elementwise.dot(r, r, count: branch.columns))
      Elementwise.add(r, to: d, count: branch.columns, scale: scale)
    }
    return Float(square / (2 * Double(tau) * Double(count)))
  }
}
