import Engine
import Foundation
import Server
import Testing

@Suite struct StoredRecordTests {
  /// The format of GRDB's documentation, as Foundation writes it.
  private let formatter: DateFormatter = {
    let formatter = DateFormatter()
    formatter.dateFormat = "yyyy-MM-dd HH:mm:ss.SSS"
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    return formatter
  }()

  @Test func datesAreWrittenAsAFormatterWritesThem() {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = RandomNumbers(seed)
    let early = [0, 1, 999, 951_782_400_000, 951_868_799_999, 1_709_164_800_000, -1, -86_400_000]
    let others = (0..<500).map { _ in Int.random(in: 0..<4_000_000_000_000, using: &numbers) }
    for milliseconds in early + others {
      // Slightly larger, so that a formatter that truncates gives the same result.
      let date = Date(timeIntervalSince1970: (Double(milliseconds) + 0.01) / 1000)
      #expect(date.stored == formatter.string(from: date), "seed \(seed): \(milliseconds)")
      #expect(Date(stored: date.stored)?.stored == date.stored, "seed \(seed): \(milliseconds)")
    }
  }

  @Test(arguments: [
    "", "2026-11-24", "2026-11-24 09:30:00", "2026-11-24 09:30:00.1255", "2026-02-30 09:30:00.125",
    "2026-11-24 24:30:00.125", "2026-11-24T09:30:00.125",
    "2147483647-1-1 0:0:0.00", "2147483647-00-0 0:0:0.0", "-026-11-24 09:30:00.125",
    "2026-11-2x 09:30:00.125", "٢026-11-24 09:30:00.12",
  ])
  func whatIsNoDateIsNotReadAsOne(text: String) { #expect(Date(stored: text) == nil) }

  @Test func anyDateIsWrittenWithAYearOfFourDigits() {
    for seconds in [-Double.infinity, -1e308, -1e12, 1e12, 1e308, .infinity] {
      let text = Date(timeIntervalSince1970: seconds).stored
      #expect(text == (seconds < 0 ? "0001-01-01 00:00:00.000" : "9999-12-31 23:59:59.000"))
      #expect(Date(stored: text) != nil)
    }
  }

  @Test func theNearestMillisecondIsWritten() {
    let start = Date(timeIntervalSince1970: 1_790_000_000)
    #expect(start.addingTimeInterval(0.000_6).stored == "2026-09-21 14:13:20.001")
    #expect(start.addingTimeInterval(0.999_6).stored == "2026-09-21 14:13:21.000")
  }
}
