import Datasets
import Engine
import Foundation
import Support
import Wire

/// The bytes received and sent on each of the last days.
package struct DailyBytes: Sendable, Hashable, Codable {
  /// The bytes of one day.
  package struct Count: Sendable, Hashable, Codable {
    package var received = 0
    package var sent = 0

    package init(received: Int = 0, sent: Int = 0) { (self.received, self.sent) = (received, sent) }

    /// The sum of both directions.
    package var total: Int { received + sent }
  }

  /// The counts by day, in the form 2026-11-23.
  package private(set) var days: [String: Count] = [:]

  package init() {}

  /// Returns the day of a date in a calendar's time zone.
  package static func day(of date: Date, in calendar: Calendar) -> String {
    let day = calendar.dateComponents([.year, .month, .day], from: date)
    return String(format: "%04d-%02d-%02d", day.year ?? 0, day.month ?? 0, day.day ?? 0)
  }

  /// Adds bytes to a day.
  ///
  /// Keeps eight days in all: a device without a battery-backed clock starts in 1970 after each boot, and must not
  /// lose today's count because of that.
  package mutating func add(_ count: Count, on day: String) {
    days[day, default: Count()].received += count.received
    days[day, default: Count()].sent += count.sent
    while days.count > Self.mostDays, let oldest = days.keys.filter({ $0 != day }).min() {
      days[oldest] = nil
    }
  }

  private static let mostDays = 8

  /// Returns the bytes of a day; zero if the day is unknown.
  package func count(on day: String) -> Count { days[day] ?? Count() }

  /// Whether the numbers are plausible; a damaged file may hold any.
  var isSound: Bool {
    days.values.allSatisfy { (0...Self.most).contains($0.received) && (0...Self.most).contains($0.sent) }
  }

  /// More bytes than any day can have, and few enough to add without overflow.
  private static let most = 1 << 60
}

/// Counts a connection's bytes into a file in the client's folder, so that the count survives a restart.
package struct ByteMeter: Sendable {
  private let file: URL
  private var bytes: DailyBytes
  /// The part of this connection's bytes that is already counted.
  private var seen = DailyBytes.Count()
  /// The bytes that are not in the file yet.
  private var unsaved = 0

  /// The bytes that a crash may lose. Writing more often would wear the memory card of a small device.
  private static let mostUnsaved = 1 << 20

  /// Opens the meter in a client's folder, for one connection. A damaged file counts as empty.
  package init(_ folder: URL) {
    file = folder.appendingPathComponent("bytes.json")
    let kept = (try? Data(contentsOf: file)).flatMap { try? JSON.read(DailyBytes.self, from: $0) }
    bytes = kept.flatMap { $0.isSound ? $0 : nil } ?? DailyBytes()
  }

  /// Returns the bytes of a day in both directions.
  package func spent(on day: String) -> Int { bytes.count(on: day).total }

  /// Counts the bytes transferred since the last call. Throws ``ClientError/state(_:)`` if the file cannot be written.
  package mutating func note(_ traffic: Traffic, on day: String) throws(ClientError) {
    let now = DailyBytes.Count(received: traffic.received, sent: traffic.sent)
    let fresh = DailyBytes.Count(received: now.received - seen.received, sent: now.sent - seen.sent)
    seen = now
    guard fresh.total > 0 else { return }
    bytes.add(fresh, on: day)
    unsaved += fresh.total
    try save(from: Self.mostUnsaved)
  }

  /// Writes the file if at least `least` bytes are not in it. Throws ``ClientError/state(_:)``.
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
