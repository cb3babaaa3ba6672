/// A duration in whole milliseconds, written with its unit: `250ms`, `600s`, `10m`, `1h`.
package struct TimeSpan: Sendable, Hashable, Comparable {
  /// The number of milliseconds; never negative.
  package let milliseconds: Int

  package init(milliseconds: Int) {
    precondition(milliseconds >= 0, "a time span of \(milliseconds) ms")
    self.milliseconds = milliseconds
  }

  package static func seconds(_ count: Int) -> TimeSpan { TimeSpan(milliseconds: count * 1000) }
  package static func minutes(_ count: Int) -> TimeSpan { seconds(count * 60) }
  package static func hours(_ count: Int) -> TimeSpan { minutes(count * 60) }

  /// The value as the standard library's type.
  package var duration: Duration { .milliseconds(milliseconds) }

  package static func < (one: TimeSpan, other: TimeSpan) -> Bool { one.milliseconds < other.milliseconds }

  /// The milliseconds of each unit, the largest first.
  private static let units = [("h", 3_600_000), ("m", 60000), ("s", 1000), ("ms", 1)]

  /// Parses a whole number and its unit. A number without a unit is rejected as ambiguous.
  package init(_ text: String) throws(PlanRejection) {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let suffix = text.dropFirst(digits.count)
    guard !digits.isEmpty, suffix.isEmpty || Self.units.contains(where: { $0.0 == suffix }) else {
      let form = "a whole number and ms, s, m or h, such as 600s"
      throw PlanRejection("is \(PlanRejection.shown(text)); must be \(form)")
    }
    guard let unit = Self.units.first(where: { $0.0 == suffix }) else {
      throw PlanRejection("has no unit; write \(text)s for seconds, or use ms, m or h")
    }
    let (product, overflow) = (Int(digits) ?? .max).multipliedReportingOverflow(by: unit.1)
    guard !overflow, product < .max else {
      throw PlanRejection("is \(PlanRejection.shown(text)); it is too long")
    }
    self.init(milliseconds: product)
  }
}

extension TimeSpan: CustomStringConvertible {
  /// The value in the largest unit that divides it: `10m`, not `600s`.
  package var description: String {
    guard milliseconds > 0, let unit = Self.units.first(where: { milliseconds % $0.1 == 0 }) else {
      return "0s"
    }
    return "\(milliseconds / unit.1)\(unit.0)"
  }
}

extension TimeSpan: Codable {
  package init(from decoder: any Swift.Decoder) throws {
    let value = try decoder.singleValueContainer()
    do {
      try self.init(value.decode(String.self))
    } catch let rejection as PlanRejection {
      throw DecodingError.dataCorruptedError(in: value, debugDescription: rejection.reason)
    }
  }

  /// Encodes as text, as in the plan's file.
  package func encode(to encoder: any Swift.Encoder) throws {
    var value = encoder.singleValueContainer()
    try value.encode(description)
  }
}
