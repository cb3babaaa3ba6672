import Foundation

/// A unit, and the notation for columns of its numbers.
package enum FigureUnit: Sendable {
  case bytes
  case operations
  case seconds
  /// A share of 0 … 1, written in per cent.
  case share
  /// A number without a unit.
  case plain

  /// A notation: numbers are divided by `divisor` and have `digits` decimal places.
  package struct Scale: Sendable, Hashable {
    package let divisor: Double
    package let name: String
    package let digits: Int

    package func text(_ value: Double) -> String { Numeral.fixed(value / divisor, digits: digits) }
  }

  /// Returns the scale in which the smallest of the values still has two digits.
  package func scale(for values: [Double]) -> Scale {
    let least = values.filter { $0 > 0 && $0.isFinite }.min() ?? 1
    let scale = scale(least)
    // Values outside the range of prefixes use powers of ten.
    guard least / scale.divisor >= 1e7 || self == .plain && least < 1e-3 else { return scale }
    let exponent = max(3 * Int(((log10(least) - log10(scale.divisor)) / 3).rounded(.down)), -300)
    return Scale(
      divisor: scale.divisor * pow(10, Double(exponent)),
      name: "10^\(exponent)" + (scale.name.isEmpty ? "" : " \(scale.name)"), digits: 3)
  }

  private func scale(_ least: Double) -> Scale {
    switch self {
    case .share: return Scale(divisor: 0.01, name: "%", digits: 1)
    case .plain: return Scale(divisor: 1, name: "", digits: 3)
    case .seconds: return Scale(divisor: 1, name: "s", digits: Self.digits(least))
    case .bytes, .operations:
      let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
      let (divisor, prefix) = prefixes.first { least >= $0.0 } ?? (1, "")
      let name = self == .bytes ? "\(prefix)B" : "\(prefix)FLOP"
      return Scale(divisor: divisor, name: name, digits: divisor == 1 ? 0 : Self.digits(least / divisor))
    }
  }

  private static func digits(_ least: Double) -> Int { least < 10 ? 2 : least < 100 ? 1 : 0 }
}

/// Formats numbers as text of bounded length.
package enum Numeral {
  /// The limit from which a number is written with a power of ten, because its digits would be too wide.
  private static let greatest = 1e15

  /// Returns a number with `digits` decimal places.
  package static func fixed(_ value: Double, digits: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    return String(format: abs(value) < greatest ? "%.\(digits)f" : "%.3g", value)
  }
}
