import Foundation

/// An axis with ticks at round numbers.
package struct PlotAxis: Sendable {
  /// Rising, the first and the last at the axis's ends.
  package let ticks: [Double]
  private let digits: Int

  /// An axis that covers some values with about so many ticks.
  package init(covering values: [Double], count: Int, startsAtZero: Bool) {
    var low = values.min() ?? 0
    var high = values.max() ?? 1
    if startsAtZero { (low, high) = (min(low, 0), max(high, 0)) }
    // Values that are all the same stand in the middle of something.
    if high - low <= max(abs(high), abs(low)) * 1e-9 {
      (low, high) = startsAtZero ? (low, max(high, low + 1)) : (low - 0.5, high + 0.5)
    }
    let step = Self.step(over: high - low, count: count)
    let (first, last) = (Int((low / step + 1e-9).rounded(.down)), Int((high / step - 1e-9).rounded(.up)))
    ticks = (first...max(last, first + 1)).map { Double($0) * step }
    digits = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
  }

  /// Where a value stands, 0 … 1.
  package func share(of value: Double) -> Double {
    (value - ticks[0]) / (ticks[ticks.count - 1] - ticks[0])
  }

  package func label(_ tick: Double) -> String { String(format: "%.\(digits)f", tick == 0 ? 0 : tick) }

  /// The least of 1, 2 and 5 times a power of ten that makes no more than so many steps of a range.
  private static func step(over range: Double, count: Int) -> Double {
    let rough = range / Double(count)
    let power = pow(10, log10(rough).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * power >= rough * 0.999 } ?? 10) * power
  }

  /// Rounds that are labelled: about eight, whole numbers, the first among them.
  package static func rounds(_ count: Int) -> [Int] {
    guard count > 10 else { return Array(1...max(count, 1)) }
    let step = max(1, Int(step(over: Double(count), count: 8)))
    return [1] + stride(from: step, through: count, by: step).filter { $0 > 1 }
  }
}
