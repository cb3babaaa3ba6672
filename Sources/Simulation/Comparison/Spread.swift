/// One figure over several seeds.
package struct Spread: Sendable, Hashable, Codable {
  package let mean: Double
  /// The sample's standard deviation; nil for a single value, which has none.
  package let deviation: Double?
  /// How many values there were.
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
}
