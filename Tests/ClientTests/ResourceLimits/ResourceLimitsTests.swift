import TestSupport
import Client
import Engine
import Federation
import Foundation
import Support
import Synchronization
import Testing

/// A wall clock that a test sets.
final class FakeClock: Sendable {
  private let date: Mutex<Date>

  /// Starts on 2026-11-23 at an hour of the day, in UTC.
  init(hour: Int) { date = Mutex(Self.date(hour: hour)) }

  private static func date(hour: Int) -> Date {
    Date(timeIntervalSince1970: 1_795_392_000 + 3600 * Double(hour))
  }

  /// Sets the hour; hours from 24 on are those of later days.
  func set(hour: Int) { date.withLock { $0 = Self.date(hour: hour) } }

  /// Limits that use this clock and are checked continuously.
  var limits: ResourceLimits {
    var limits = ResourceLimits()
    limits.calendar.timeZone = TimeZone(identifier: "UTC")!
    limits.now = { self.date.withLock { $0 } }
    limits.interval = .milliseconds(5)
    return limits
  }
}

@Suite struct ResourceLimitsTests {
  @Test func whoAsksForNothingIsSparedNothing() {
    let limits = ResourceLimits()
    #expect(limits.declineReason(needed: .max, spent: 0) == nil && limits.closed == nil)
    #expect(limits.pace(at: .now) == nil)
    #expect(limits.interval <= .seconds(5), "docs/resource-limits.md says so")
  }

  @Test func hoursAreNamedWhereTheyObject() throws {
    let clock = FakeClock(hour: 21)
    var limits = clock.limits
    limits.hours = try Hours("22:00-06:00,12:30-13:30")
    #expect(
      limits.declineReason(needed: 0, spent: 0)?.reason == "outside its hours, 22:00-06:00,12:30-13:30")
    #expect(limits.closed?.seconds == 3600)
    #expect(limits.closed == limits.declineReason(needed: 0, spent: 0))
    for (hour, isOpen) in [(22, true), (29, true), (30, false)] {
      clock.set(hour: hour)
      #expect(
        (limits.closed == nil) == isOpen && (limits.declineReason(needed: 0, spent: 0) == nil) == isOpen)
    }
  }

  @Test func aRoundMayUseWhatIsLeftOfTheDayAndNoMore() {
    var limits = FakeClock(hour: 0).limits
    limits.bytesADay = ByteCount("200MB")
    #expect(limits.declineReason(needed: 150_000_000, spent: 50_000_000) == nil)
    #expect(
      limits.declineReason(needed: 150_000_000, spent: 50_000_001)
        == DeclineReason(
          "the round needs 150.0 MB, and the client has used 50.0 MB of 200MB a day", seconds: 86_400))
    #expect(limits.declineReason(needed: 0, spent: 200_000_001) != nil)
  }

  @Test func aDayEndsAtMidnight() {
    let clock = FakeClock(hour: 23)
    #expect(clock.limits.day == "2026-11-23")
    clock.set(hour: 24)
    #expect(clock.limits.day == "2026-11-24")
  }

  @Test func onBatteryNothingIsTaken() async throws {
    try await withTemporaryFolder { folder in
      var limits = ResourceLimits()
      try FakePower(folder: folder).laptop(isOnBattery: true)
      #expect(
        !limits.isOnBattery && limits.declineReason(needed: 0, spent: 0) == nil, "nobody asked for it")
      limits.power = PowerSupply(folder)
      #expect(limits.isOnBattery && limits.declineReason(needed: 0, spent: 0)?.reason == "on battery")
      try FakePower(folder: folder).laptop(isOnBattery: false)
      #expect(!limits.isOnBattery && limits.declineReason(needed: 0, spent: 0) == nil)
    }
  }
}
