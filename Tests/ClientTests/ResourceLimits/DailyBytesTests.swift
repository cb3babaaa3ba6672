import Client
import Foundation
import Testing

@Suite struct DailyBytesTests {
  @Test func daysAreCountedApart() {
    var bytes = DailyBytes()
    bytes.add(.init(received: 10, sent: 1), on: "2026-11-23")
    bytes.add(.init(received: 20, sent: 2), on: "2026-11-23")
    bytes.add(.init(received: 5), on: "2026-11-24")
    #expect(bytes.count(on: "2026-11-23") == .init(received: 30, sent: 3))
    #expect(bytes.count(on: "2026-11-23").total == 33)
    #expect(bytes.count(on: "2026-11-24").total == 5 && bytes.count(on: "2026-11-25").total == 0)
  }

  @Test func aDayIsThatOfTheDevicesClock() throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
    let date = Date(timeIntervalSince1970: 1_768_519_800)  // 2026-01-15 23:30 UTC
    #expect(DailyBytes.day(of: date, in: calendar) == "2026-01-15")
    calendar.timeZone = try #require(TimeZone(identifier: "Europe/Berlin"))
    #expect(DailyBytes.day(of: date, in: calendar) == "2026-01-16")
  }

  @Test func onlyTheLastDaysAreKept() {
    var bytes = DailyBytes()
    for day in 10...30 { bytes.add(.init(sent: day), on: "2026-11-\(day)") }
    #expect(bytes.days.keys.sorted() == (23...30).map { "2026-11-\($0)" })
  }

  /// A device without a battery-backed clock is in 1970 until it receives the time.
  @Test func aClockThatIsWrongForAWhileForgetsNothingOfToday() {
    var bytes = DailyBytes()
    for day in 16...23 { bytes.add(.init(sent: day), on: "2026-11-\(day)") }
    for _ in 0..<3 { bytes.add(.init(sent: 7), on: "1970-01-01") }
    #expect(bytes.count(on: "1970-01-01").total == 21, "the present day is never the one that goes")
    bytes.add(.init(sent: 1), on: "2026-11-23")
    #expect(bytes.count(on: "2026-11-23").total == 24)
  }
}
