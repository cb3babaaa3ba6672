import COpenBLAS
import Foundation

/// Measures, without labels, whether an encoder maps all images to the same point.
///
/// B images in two views, P = width of a projection, D = width of a representation.
package struct CollapseMonitors: Sendable, Hashable, Codable {
  /// The mean squared distance of the two views' projections on the unit sphere, 0 … 4 (arXiv 2005.10242, equation 1).
  /// Small values mean that views agree.
  package var alignment: Float
  /// The log of the mean of exp(-2 d²) over pairs of images on the unit sphere (the same, equation 2): 0 if all
  /// projections are equal, and more negative the more evenly they cover the sphere.
  package var uniformity: Float
  /// The standard deviation of unit-length representations, averaged over their D values, times √D: 0 if all are equal,
  /// 1 if they cover the sphere (arXiv 2011.10566, section 4.1).
  package var deviation: Float
  /// The exponential of the entropy of the normalised singular values of the centred representations: the number of
  /// directions in which they differ, 1 … min(2B, D) (Roy and Vetterli 2007; arXiv 2210.02885).
  package var effectiveRank: Float

  package init(alignment: Float, uniformity: Float, deviation: Float, effectiveRank: Float) {
    (self.alignment, self.uniformity) = (alignment, uniformity)
    (self.deviation, self.effectiveRank) = (deviation, effectiveRank)
  }

  /// Computes the monitors of one batch: projections [2B, P] and representations [2B, D], the first view's rows before
  /// the second's. Nil if they contain a non-finite value.
  package init?(projections z: Matrix, representations r: Matrix) {
    precondition(z.rows == r.rows && z.rows % 2 == 0 && z.rows >= 4, "\(z.rows) rows of two views")
    let batch = z.rows / 2
    var layout = Layout(alignment: 16)
    let (unit, lengths) = (layout.add("unit", z.rows, z.columns), layout.add("lengths", z.rows))
    let (centred, own) = (layout.add("centred", r.rows, r.columns), layout.add("own lengths", r.rows))
    let (products, covariance) = (
      layout.add("products", batch, batch), layout.add("covariance", r.columns, r.columns)
    )
    let work = Storage(layout)
    UnitRows.forward(z, into: work[unit], lengths: work[lengths])
    alignment = Self.alignment(work[unit], batch)
    uniformity = Self.uniformity(work[unit].rows(0..<batch), work[products])
    UnitRows.forward(r, into: work[centred], lengths: work[own])
    deviation = Self.centre(work[centred]) * Float(r.columns).squareRoot()
    for row in 0..<r.rows {
      for column in 0..<r.columns { work[centred][row, column] = r[row, column] }
    }
    _ = Self.centre(work[centred])
    Products.product(
      work[centred].transposed, work[centred], into: work[covariance], scale: 1 / Float(r.rows))
    guard let values = Eigenvalues.of(work[covariance]) else { return nil }
    effectiveRank = Self.effectiveRank(values)
    guard isFinite else { return nil }
  }

  /// Whether images are hardly distinguishable: all projections are within about 20 degrees of each other, or
  /// representations differ only along a single direction or very little.
  package var isCollapsed: Bool { uniformity > -0.25 || effectiveRank < 2 || deviation < 0.05 }

  /// Whether all four values are finite.
  package var isFinite: Bool {
    alignment.isFinite && uniformity.isFinite && deviation.isFinite && effectiveRank.isFinite
  }

  private static func alignment(_ unit: Matrix, _ batch: Int) -> Float {
    var sum: Double = 0
    for image in 0..<batch {
      let cosine = Elementwise.dot(unit.row(image), unit.row(batch + image), count: unit.columns)
      sum += Double(2 - 2 * cosine)
    }
    return Float(sum / Double(batch))
  }

  private static func uniformity(_ unit: Matrix, _ products: Matrix) -> Float {
    Products.product(unit, unit.transposed, into: products)
    var sum: Double = 0
    for a in 0..<unit.rows {
      for b in 0..<a { sum += exp(-2 * Double(2 - 2 * products[a, b])) }
    }
    return Float(log(sum / Double(unit.rows * (unit.rows - 1) / 2)))
  }

  /// Subtracts the mean from every column; returns the mean of the columns' standard deviations.
  private static func centre(_ x: Matrix) -> Float {
    var total: Double = 0
    for c in 0..<x.columns {
      var mean: Float = 0
      for row in 0..<x.rows { mean += x[row, c] }
      mean /= Float(x.rows)
      var square: Float = 0
      for row in 0..<x.rows {
        x[row, c] -= mean
        square += x[row, c] * x[row, c]
      }
      total += Double((square / Float(x.rows)).squareRoot())
    }
    return Float(total / Double(x.columns))
  }

  private static func effectiveRank(_ eigenvalues: [Float]) -> Float {
    let singular = eigenvalues.map { Double(max($0, 0)).squareRoot() }
    let sum = singular.reduce(0, +)
    guard sum > 0 else { return 1 }
    // Rounding errors of zeros do not count as directions.
    let shares = singular.map { $0 / sum }.filter { $0 > 1e-6 }
    return Float(exp(-shares.reduce(0) { $0 + $1 * log($1) }))
  }
}

/// Eigenvalues of symmetric matrices, computed with LAPACK.
package enum Eigenvalues {
  /// Returns the ascending eigenvalues of a symmetric matrix [N, N], which is overwritten; nil if it contains a
  /// non-finite value.
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
