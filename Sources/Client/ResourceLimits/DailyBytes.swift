import Foundation

/// How many bytes went each way on each of the last days, as a value.
package struct DailyBytes: Sendable, Hashable, Codable {
  /// Bytes of one day.
  package struct Count: Sendable, Hashable, Codable {
    package var received = 0
    package var sent = 0

    package init(received: Int = 0, sent: Int = 0) { (self.received, self.sent) = (received, sent) }

    /// Both ways together.
    package var total: Int { received + sent }
  }

  /// By day, written as 2026-11-23.
  package private(set) var days: [String: Count] = [:]

  package init() {}

  /// A date's day, where the calendar's time is kept.
  package static func day(of date: Date, in calendar: Calendar) -> String {
    let day = calendar.dateComponents([.year, .month, .day], from: date)
    return String(format: "%04d-%02d-%02d", day.year ?? 0, day.month ?? 0, day.day ?? 0)
  }

  /// Adds bytes to a day.
  ///
  /// Other days are kept, eight in all: a device without a clock of its own begins in 1970 after every start, and
  /// must not forget today's bytes for that.
  package mutating func add(_ count: Count, on day: String) {
    days[day, default: Count()].received += count.received
    days[day, default: Count()].sent += count.sent
    while days.count > Self.mostDays, let oldest = days.keys.filter({ $0 != day }).min() {
      days[oldest] = nil
    }
  }

  private static let mostDays = 8

  /// The bytes of a day; none of one that is not known.
  package func count(on day: String) -> Count { days[day] ?? Count() }

  /// Whether the numbers can be: a damaged file may hold any.
  var isSound: Bool {
    days.values.allSatisfy { (0...Self.most).contains($0.received) && (0...Self.most).contains($0.sent) }
  }

  /// Bytes that no day has, and that can be added without fear.
  private static let most = 1 << 60
}
