import Datasets
import Engine
import Foundation
import Support
import Wire

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

/// Counts a connection's bytes into a file in the client's folder, so that a restart does not forget them.
package struct ByteMeter: Sendable {
  private let file: URL
  private var bytes: DailyBytes
  /// What was counted of this connection already.
  private var seen = DailyBytes.Count()
  /// Bytes that are not in the file yet.
  private var unsaved = 0

  /// A crash may forget so many bytes: writing more often would wear the card that a small device runs from.
  private static let mostUnsaved = 1 << 20

  /// The meter in a client's folder, for one connection. A file that is damaged counts for none.
  package init(_ folder: URL) {
    file = folder.appendingPathComponent("bytes.json")
    let kept = (try? Data(contentsOf: file)).flatMap { try? JSON.read(DailyBytes.self, from: $0) }
    bytes = kept.flatMap { $0.isSound ? $0 : nil } ?? DailyBytes()
  }

  /// Bytes of a day, both ways.
  package func spent(on day: String) -> Int { bytes.count(on: day).total }

  /// Counts what went through the connection since the last time. Throws ``ClientError/state(_:)`` where the
  /// file cannot be written.
  package mutating func note(_ traffic: Traffic, on day: String) throws(ClientError) {
    let now = DailyBytes.Count(received: traffic.received, sent: traffic.sent)
    let fresh = DailyBytes.Count(received: now.received - seen.received, sent: now.sent - seen.sent)
    seen = now
    guard fresh.total > 0 else { return }
    bytes.add(fresh, on: day)
    unsaved += fresh.total
    try save(from: Self.mostUnsaved)
  }

  /// Writes the file if at least so many bytes are not in it. Throws ``ClientError/state(_:)``.
  package mutating func save(from least: Int = 1) throws(ClientError) {
    guard unsaved >= least else { return }
    do {
      try JSON.stored(bytes).write(to: file, options: .atomic)
    } catch {
      throw .state("\(file.path): \(error.systemWords)")
    }
    unsaved = 0
  }
}
