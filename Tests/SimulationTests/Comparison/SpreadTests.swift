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

  /// The quantiles and the margin are those of scipy.stats.
  @Test func theMarginIsStudents() throws {
    for (degrees, quantile) in [
      (1, 12.706205), (3, 3.182446), (31, 2.039513), (40, 2.021075), (200, 1.971896),
    ] {
      #expect(abs(Spread.quantile(degrees) / quantile - 1) < 1e-4, "\(degrees)")
    }
    #expect(abs(try #require(Spread([1, 2, 3, 4])?.margin) - 2.054260) < 1e-4)
    #expect(Spread([1])?.margin == nil)
  }

  @Test func pairsAreThoseOfCommonSeeds() throws {
    let pair = try #require(PairedComparison([1, nil, 3, 5], to: [2, 2, 2, nil]))
    #expect(pair.difference == Spread([-1, 1]) && pair.ratio == Spread([0.5, 1.5]))
    #expect(PairedComparison([1, nil], to: [nil, 2]) == nil)
    let toZero = try #require(PairedComparison([1], to: [0]))
    #expect(toZero.ratio == nil && toZero.difference.mean == 1 && toZero.differenceMargin == nil)
  }
}
