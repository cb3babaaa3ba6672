import Foundation

/// An axis with ticks at round numbers, for any finite values.
package struct PlotAxis: Sendable {
  /// The ticks in ascending order; the first and the last are the ends of the axis.
  package var ticks: [Double] {
    multiples.map { min(max(Double($0) * step, -Self.greatest), Self.greatest) }
  }

  /// The distance between ticks, and the ticks as multiples of it, which stay small for huge values.
  private let step: Double
  private let multiples: ClosedRange<Int>

  private static let greatest = Double.greatestFiniteMagnitude
  /// The smallest range; a smaller one counts as empty, because the power of ten of its step would underflow.
  private static let leastRange = 1e-300
  /// The decimal places beyond which a label is written with a power of ten.
  private static let mostDigits = 8

  /// Covers the values with about `count` ticks. Omits values that are not finite.
  package init(covering values: [Double], count: Int, startsAtZero: Bool) {
    let values = values.filter(\.isFinite)
    var low = values.min() ?? 0
    var high = values.max() ?? 1
    if startsAtZero { (low, high) = (min(low, 0), max(high, 0)) }
    let size = max(abs(high), abs(low))
    // Equal values are placed in the middle of a range. The halves avoid overflow of a huge range.
    if high / 2 - low / 2 <= max(size * 1e-9, Self.leastRange) / 2 {
      let margin = max(0.5, size * 1e-6)
      (low, high) =
        startsAtZero
        ? (low, max(high, low + 1)) : (max(low - margin, -Self.greatest), min(high + margin, Self.greatest))
    }
    step = Self.step(high / Double(count) - low / Double(count))
    let (first, last) = (Int((low / step + 1e-9).rounded(.down)), Int((high / step - 1e-9).rounded(.up)))
    multiples = first...max(last, first + 1)
  }

  /// Covers the exponents of powers of ten between values greater than 0, with ticks at whole ones.
  package init(exponentsCovering values: [Double]) {
    let exponents = values.filter { $0 > 0 && $0.isFinite }.map { log10($0) }
    let (low, high) = (exponents.min() ?? 0, exponents.max() ?? 1)
    step = [1, 2, 3, 6, 12, 24, 48, 96, 192].first { $0 >= (high - low) / 5 } ?? 384
    let (first, last) = (Int((low / step + 1e-9).rounded(.down)), Int((high / step - 1e-9).rounded(.up)))
    multiples = first...max(last, first + 1)
  }

  /// Returns the label of a power of ten.
  package static func power(_ exponent: Double) -> String { exponent == 0 ? "1" : "1e\(Int(exponent))" }

  /// Returns the position of a value, 0 … 1.
  package func share(of value: Double) -> Double {
    min(max((value / step - Double(multiples.lowerBound)) / Double(multiples.count - 1), 0), 1)
  }

  package func label(_ tick: Double) -> String {
    let digits = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
    guard digits <= Self.mostDigits else { return String(format: "%.3g", tick == 0 ? 0 : tick) }
    return Numeral.fixed(tick == 0 ? 0 : tick, digits: digits)
  }

  /// Returns the smallest of 1, 2 and 5 times a power of ten that is at least about `rough`.
  private static func step(_ rough: Double) -> Double {
    let power = pow(10, log10(rough).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * power >= rough * 0.999 } ?? 10) * power
  }

  /// Returns the rounds of 1 to `count` to label: about eight whole numbers, including the first.
  package static func rounds(_ count: Int) -> [Int] {
    guard count > 10 else { return Array(1...max(count, 1)) }
    let step = max(1, Int(step(Double(count) / 8)))
    return [1] + stride(from: step, through: count, by: step).filter { $0 > 1 }
  }
}
