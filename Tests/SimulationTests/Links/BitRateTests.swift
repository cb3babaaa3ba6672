import Simulation
import Testing

@Suite struct BitRateTests {
  @Test func readsWholeNumbersWithUnits() {
    let rates = ["64kbit": 64_000, "1mbit": 1_000_000, "2gbit": 2_000_000_000, "1500kbit": 1_500_000]
    for (text, bits) in rates {
      #expect(BitRate(text)?.bitsPerSecond == bits)
      #expect(BitRate(text)?.description == text)
    }
    #expect(BitRate("1000kbit")?.description == "1mbit")
  }

  @Test(arguments: [
    "", "1", "mbit", "0kbit", "-1mbit", "1.5mbit", "1 mbit", "1Mbit", "1mb", "99999999999gbit",
  ])
  func rejectsAnythingElse(text: String) {
    #expect(BitRate(text) == nil)
  }

  /// Units are decimal and count bits: a megabit per second is 125,000 bytes.
  @Test func timeIsBitsOverRate() throws {
    let rate = try #require(BitRate("1mbit"))
    #expect(rate.time(for: 125_000) == .seconds(1))
    #expect(rate.time(for: 0) == .zero)
    #expect(rate.bytes(in: .milliseconds(80)) == 10_000)
  }
}
