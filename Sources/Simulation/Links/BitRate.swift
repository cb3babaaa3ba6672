import Engine

/// The speed of a link in whole bits a second, written with its decimal unit: `64kbit`, `1mbit`, `1gbit`.
package struct BitRate: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// Above 0.
  package let bitsPerSecond: Int

  package init(bitsPerSecond: Int) {
    precondition(bitsPerSecond > 0, "\(bitsPerSecond) bits a second")
    self.bitsPerSecond = bitsPerSecond
  }

  /// Bits a second of each unit, the largest first.
  private static let units = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1000)]

  /// Reads a whole number and its unit; nil for anything else.
  package init?(_ text: String) {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let count = Int(digits), count > 0,
      let unit = Self.units.first(where: { $0.0 == text.dropFirst(digits.count) })
    else { return nil }
    let (bits, overflow) = count.multipliedReportingOverflow(by: unit.1)
    guard !overflow else { return nil }
    self.init(bitsPerSecond: bits)
  }

  /// How long so many bytes take.
  package func time(for bytes: Int) -> Duration { .seconds(Double(bytes) * 8 / Double(bitsPerSecond)) }

  /// The bytes of some time, rounded up.
  package func bytes(in time: Duration) -> Int {
    Int((time.seconds * Double(bitsPerSecond) / 8).rounded(.up))
  }

  package static func < (one: BitRate, other: BitRate) -> Bool { one.bitsPerSecond < other.bitsPerSecond }

  /// In the largest unit that leaves a whole number.
  package var description: String {
    guard let unit = Self.units.first(where: { bitsPerSecond % $0.1 == 0 }) else {
      return "\(bitsPerSecond)bit"
    }
    return "\(bitsPerSecond / unit.1)\(unit.0)"
  }
}
