import Engine
import Client
import Federation
import Foundation
import Synchronization
import Testing

/// A wall clock that a test sets.
final class FakeClock: Sendable {
  private let date: Mutex<Date>

  /// 2026-11-23 and a time of the day, in UTC.
  init(hour: Int) { date = Mutex(Self.date(hour: hour)) }

  private static func date(hour: Int) -> Date {
    Date(timeIntervalSince1970: 1_795_392_000 + 3600 * Double(hour))
  }

  /// Hours from 24 on are those of later days.
  func set(hour: Int) { date.withLock { $0 = Self.date(hour: hour) } }

  /// Manners that go by it, and look all the time.
  var manners: Manners {
    var manners = Manners()
    manners.calendar.timeZone = TimeZone(identifier: "UTC")!
    manners.now = { self.date.withLock { $0 } }
    manners.interval = .milliseconds(5)
    return manners
  }
}

@Suite struct MannersTests {
  @Test func whoAsksForNothingIsSparedNothing() {
    let manners = Manners()
    #expect(manners.declineReason(needed: .max, spent: 0) == nil && manners.closed == nil)
    #expect(manners.pace(at: .now) == nil)
    #expect(manners.interval <= .seconds(5), "docs/manners.md says so")
  }

  @Test func hoursAreNamedWhereTheyObject() throws {
    let clock = FakeClock(hour: 21)
    var manners = clock.manners
    manners.hours = try Hours("22:00-06:00,12:30-13:30")
    #expect(
      manners.declineReason(needed: 0, spent: 0)?.reason == "outside its hours, 22:00-06:00,12:30-13:30")
    #expect(manners.closed?.seconds == 3600)
    #expect(manners.closed == manners.declineReason(needed: 0, spent: 0))
    for (hour, isOpen) in [(22, true), (29, true), (30, false)] {
      clock.set(hour: hour)
      #expect(
        (manners.closed == nil) == isOpen && (manners.declineReason(needed: 0, spent: 0) == nil) == isOpen)
    }
  }

  @Test func aRoundMayUseWhatIsLeftOfTheDayAndNoMore() {
    var manners = FakeClock(hour: 0).manners
    manners.bytesADay = ByteCount("200MB")
    #expect(manners.declineReason(needed: 150_000_000, spent: 50_000_000) == nil)
    #expect(
      manners.declineReason(needed: 150_000_000, spent: 50_000_001)
        == DeclineReason("it needs 150.0 MB and has spent 50.0 MB of 200MB a day", seconds: 86_400))
    #expect(manners.declineReason(needed: 0, spent: 200_000_001) != nil)
  }

  @Test func aDayEndsAtMidnight() {
    let clock = FakeClock(hour: 23)
    #expect(clock.manners.day == "2026-11-23")
    clock.set(hour: 24)
    #expect(clock.manners.day == "2026-11-24")
  }

  @Test func onBatteryNothingIsTaken() async throws {
    try await withTemporaryFolder { folder in
      var manners = Manners()
      try FakePower(folder: folder).laptop(isOnBattery: true)
      #expect(
        !manners.isOnBattery && manners.declineReason(needed: 0, spent: 0) == nil, "nobody asked for it")
      manners.power = PowerSupply(folder)
      #expect(manners.isOnBattery && manners.declineReason(needed: 0, spent: 0)?.reason == "on battery")
      try FakePower(folder: folder).laptop(isOnBattery: false)
      #expect(!manners.isOnBattery && manners.declineReason(needed: 0, spent: 0) == nil)
    }
  }
}
