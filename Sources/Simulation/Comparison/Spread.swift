import Foundation

/// The mean and deviation of a figure over several seeds.
package struct Spread: Sendable, Hashable, Codable {
  package let mean: Double
  /// The standard deviation of the sample; nil for a single value.
  package let deviation: Double?
  /// The number of values.
  package let count: Int

  /// Nil without values.
  package init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    (self.mean, self.count) = (mean, values.count)
    deviation = values.count > 1 ? (squares / (count - 1)).squareRoot() : nil
  }

  /// Half of the 95 % confidence interval of the mean, by Student's distribution with `count` - 1 degrees of freedom; nil
  /// for a single value. It assumes that the values are independent and about normally distributed.
  package var margin: Double? {
    deviation.map { Self.quantile(count - 1) * $0 / Double(count).squareRoot() }
  }

  /// The 0.975 quantiles of Student's distribution with 1 … 30 degrees of freedom.
  private static let quantiles = [
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604,
    2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555,
    2.0518, 2.0484, 2.0452, 2.0423,
  ]

  /// Returns the 0.975 quantile of Student's distribution; beyond 30 degrees of freedom by the first terms of the
  /// expansion at the normal distribution's (Abramowitz and Stegun, 26.7.5), which is exact to four digits there.
  package static func quantile(_ degrees: Int) -> Double {
    precondition(degrees >= 1, "\(degrees) degrees of freedom")
    guard degrees > quantiles.count else { return quantiles[degrees - 1] }
    let (x, n) = (1.959964, Double(degrees))
    return x + (pow(x, 3) + x) / (4 * n) + (5 * pow(x, 5) + 16 * pow(x, 3) + 3 * x) / (96 * n * n)
  }
}

/// A figure of one variant compared with that of another, over the seeds that both have.
///
/// Runs with the same seed have the same data, partition and initial weights, so that differences by seed vary less
/// than the figures.
package struct PairedComparison: Sendable, Hashable, Codable {
  /// The differences by seed, this minus the other.
  package let difference: Spread
  /// Half of the 95 % confidence interval of the mean difference; nil for a single seed.
  package let differenceMargin: Double?
  /// The ratios by seed, this divided by the other; nil if one of the other's values is not above 0.
  package let ratio: Spread?
  package let ratioMargin: Double?

  /// Nil without a common seed. Values are by seed, and nil for a seed without one.
  package init?(_ values: [Double?], to others: [Double?]) {
    let pairs = zip(values, others).compactMap { pair in pair.0.flatMap { a in pair.1.map { (a, $0) } } }
    guard let difference = Spread(pairs.map { $0.0 - $0.1 }) else { return nil }
    self.difference = difference
    differenceMargin = difference.margin
    ratio = pairs.allSatisfy { $0.1 > 0 } ? Spread(pairs.map { $0.0 / $0.1 }) : nil
    ratioMargin = ratio?.margin
  }
}
