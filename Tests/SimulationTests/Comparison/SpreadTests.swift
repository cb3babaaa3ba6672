import Simulation
import Testing

@Suite struct SpreadTests {
  @Test func meanAndSampleDeviation() throws {
    let spread = try #require(Spread([2, 4, 4, 4, 5, 5, 7, 9]))
    #expect(spread.mean == 5 && spread.count == 8)
    // The sum of squares is 32, divided by the number of values minus one.
    #expect(abs(try #require(spread.deviation) - (32.0 / 7).squareRoot()) < 1e-12)
  }

  @Test func aSingleValueHasNoDeviation() throws {
    let spread = try #require(Spread([3]))
    #expect(spread.mean == 3 && spread.deviation == nil && spread.count == 1)
    #expect(Spread([]) == nil)
  }
}
