import Foundation

/// Numbers as text, of a length that has a bound whatever they are.
package enum Numeral {
  /// From here on a number is written with a power of ten: no page or table is wide enough for its digits.
  private static let greatest = 1e15

  /// A number with so many digits behind the point.
  package static func fixed(_ value: Double, digits: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    return String(format: abs(value) < greatest ? "%.\(digits)f" : "%.3g", value)
  }
}
