import Federation
import Foundation
import Support
import Testing

@Suite struct TimeSpanTests {
  @Test(arguments: [
    ("250ms", 250, "250ms"), ("600s", 600_000, "10m"), ("10m", 600_000, "10m"), ("1h", 3_600_000, "1h"),
    ("90m", 5_400_000, "90m"), ("0s", 0, "0s"), ("1001ms", 1001, "1001ms"), ("007s", 7000, "7s"),
  ])
  func readsAndWrites(text: String, milliseconds: Int, written: String) throws {
    let span = try TimeSpan(text)
    #expect(span.milliseconds == milliseconds)
    #expect(span.description == written)
    #expect(try TimeSpan(written) == span)
    #expect(span.duration == .milliseconds(milliseconds))
    let coded = try JSONEncoder().encode([span])
    #expect(String(decoding: coded, as: UTF8.self) == "[\"\(written)\"]")
    #expect(try JSONDecoder().decode([TimeSpan].self, from: coded) == [span])
  }

  @Test(arguments: [
    "", "s", "600", "-1s", "1.5h", "10 m", "10M", "1d", "٣s", "99999999999999999999s",
    "9223372036854775807s",
  ])
  func rejects(text: String) {
    #expect(throws: PlanRejection.self) { try TimeSpan(text) }
  }

  @Test func saysWhyABareNumberIsRejected() {
    #expect(throws: PlanRejection("has no unit; write 600s for seconds, or use ms, m or h")) {
      try TimeSpan("600")
    }
  }

  @Test func isOrdered() {
    #expect(TimeSpan.seconds(59) < .minutes(1))
    #expect(TimeSpan.minutes(60) == .hours(1))
  }
}
