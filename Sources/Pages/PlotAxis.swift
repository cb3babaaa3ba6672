import Foundation

/// An axis with ticks at round numbers, for any values that a number can have.
package struct PlotAxis: Sendable {
  /// Rising, the first and the last at the axis's ends.
  package var ticks: [Double] {
    multiples.map { min(max(Double($0) * step, -Self.greatest), Self.greatest) }
  }

  /// The distance of two ticks, and the ticks as multiples of it: these stay small where values are huge.
  private let step: Double
  private let multiples: ClosedRange<Int>

  private static let greatest = Double.greatestFiniteMagnitude
  /// Ranges that are smaller are none: steps of them have no power of ten.
  private static let leastRange = 1e-300
  /// Digits behind the point beyond which a label is written with a power of ten.
  private static let mostDigits = 8

  /// An axis that covers some values with about so many ticks. What is not finite is left out.
  package init(covering values: [Double], count: Int, startsAtZero: Bool) {
    let values = values.filter(\.isFinite)
    var low = values.min() ?? 0
    var high = values.max() ?? 1
    if startsAtZero { (low, high) = (min(low, 0), max(high, 0)) }
    let size = max(abs(high), abs(low))
    // Values that are all the same stand in the middle of something. A range may be more than a number can be.
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

  /// Where a value stands, 0 … 1.
  package func share(of value: Double) -> Double {
    min(max((value / step - Double(multiples.lowerBound)) / Double(multiples.count - 1), 0), 1)
  }

  package func label(_ tick: Double) -> String {
    let digits = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
    guard digits <= Self.mostDigits else { return String(format: "%.3g", tick == 0 ? 0 : tick) }
    return Numeral.fixed(tick == 0 ? 0 : tick, digits: digits)
  }

  /// The least of 1, 2 and 5 times a power of ten that is not below `rough`, or hardly.
  private static func step(_ rough: Double) -> Double {
    let power = pow(10, log10(rough).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * power >= rough * 0.999 } ?? 10) * power
  }

  /// Rounds that are labelled: about eight, whole numbers, the first among them.
  package static func rounds(_ count: Int) -> [Int] {
    guard count > 10 else { return Array(1...max(count, 1)) }
    let step = max(1, Int(step(Double(count) / 8)))
    return [1] + stride(from: step, through: count, by: step).filter { $0 > 1 }
  }
}
