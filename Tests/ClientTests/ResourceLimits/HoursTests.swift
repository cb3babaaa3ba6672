import Client
import Engine
import Federation
import Foundation
import Testing

@Suite struct HoursTests {
  @Test(arguments: [
    ("22:00-06:00", "22:00-06:00"), ("6:05-9:30", "06:05-09:30"), ("00:00-24:00", "00:00-24:00"),
    ("22:00-06:00,12:30-13:30", "22:00-06:00,12:30-13:30"),
  ])
  func readsRanges(text: String, shown: String) throws {
    #expect(try Hours(text).description == shown)
  }

  @Test(arguments: [
    "", "22", "22:00", "22:00-", "-06:00", "22:00-06:00,", "22-6", "25:00-06:00", "22:60-06:00",
    "24:00-06:00",
    "22:00-24:01", "12:00-12:00", "22:00-06:00-07:00", "22:00 - 06:00", "22:00-06:0", "٢٢:00-06:00",
    "-1:00-06:00",
    "1000:00-06:00",
  ])
  func rejectsWhatIsNone(text: String) {
    let rejection = #expect(throws: PlanRejection.self) { try Hours("01:00-02:00,\(text)") }
    #expect(
      rejection?.reason.contains("01:00-02:00") == false, "it names the wrong one: \(rejection?.reason ?? "")"
    )
  }

  @Test func namesTheRangeThatIsNone() {
    let rejection = #expect(throws: PlanRejection.self) { try Hours("22:00-06:00,7-8") }
    #expect(rejection?.reason == "'7-8' is not a range of hours, such as 22:00-06:00")
  }

  @Test func beginsWithItsFirstMinuteAndEndsBeforeItsLast() throws {
    let day = try Hours("12:30-13:30")
    #expect([749, 750, 809, 810].map(day.contains(minute:)) == [false, true, true, false])
    let night = try Hours("22:00-06:00")
    #expect(
      [1319, 1320, 1439, 0, 359, 360].map(night.contains(minute:)) == [false, true, true, true, true, false])
    let always = try Hours("00:00-24:00")
    #expect((0..<1440).allSatisfy(always.contains(minute:)))
    #expect(!(try Hours("00:00-23:59").contains(minute: 1439)))
    #expect(try Hours("23:59-00:00").contains(minute: 1439))
  }

  /// Compares with a clock that steps through each range.
  @Test func randomRangesAreWhatAClockWalksThrough() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = RandomNumbers(seed)
    for _ in 0..<200 {
      var (texts, walked): ([String], Set<Int>) = ([], [])
      for _ in 0...random.below(3) {
        let start = random.below(1440)
        let length = 1 + random.below(1439)
        let end = (start + length) % 1440
        texts.append(
          String(format: "%02d:%02d-%02d:%02d", start / 60, start % 60, end / 60, end % 60))
        for minute in start..<start + length { walked.insert(minute % 1440) }
      }
      let text = texts.joined(separator: ",")
      let hours = try Hours(text)
      #expect(Set((0..<1440).filter(hours.contains(minute:))) == walked, "\(text), seed \(seed)")
      #expect(hours.description == text)
    }
  }

  /// The time until the server asks again.
  @Test(arguments: [
    ("22:00-06:00", 12, 0, 0, 36_000), ("22:00-06:00", 21, 59, 30, 30), ("22:00-06:00", 6, 0, 1, 57_599),
    ("22:00-06:00", 23, 0, 7, 0), ("12:30-13:30,18:00-19:00", 13, 30, 0, 16_200),
  ])
  func secondsUntilTheyBegin(text: String, hour: Int, minute: Int, second: Int, wait: Int) throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
    let date = try #require(
      calendar.date(
        from: DateComponents(year: 2026, month: 11, day: 25, hour: hour, minute: minute, second: second)))
    #expect(try Hours(text).seconds(from: date, in: calendar) == wait)
  }

  @Test func areThoseOfTheDevicesClock() throws {
    var berlin = Calendar(identifier: .gregorian)
    berlin.timeZone = try #require(TimeZone(identifier: "Europe/Berlin"))
    let hours = try Hours("22:00-06:00")
    // In Berlin, 22:30 in winter and 22:00 in summer.
    let winter = Date(timeIntervalSince1970: 1_768_512_600)  // 2026-01-15 21:30 UTC
    let summer = Date(timeIntervalSince1970: 1_784_145_600)  // 2026-07-15 20:00 UTC
    #expect(hours.contains(winter, in: berlin) && hours.contains(summer, in: berlin))
    var utc = berlin
    utc.timeZone = try #require(TimeZone(identifier: "UTC"))
    #expect(!hours.contains(winter, in: utc) && !hours.contains(summer, in: utc))
    // One hour earlier the summer time in Berlin is 21:00; the winter time is 21:00 an hour and a half earlier.
    #expect(!hours.contains(summer - 3600, in: berlin) && !hours.contains(winter - 5400, in: berlin))
  }
}
