import Simulation
import Testing

@Suite struct LinkReportTests {
  /// A second up, half a second down, four one-way delays of the round and two for each of five layers.
  @Test func aRoundsPartOfTheNetworkIsCalculated() throws {
    let link = try LinkShape(parsing: "1mbit/4mbit,100ms,5%")
    #expect(abs(link.seconds(up: 125_000, down: 250_000, layers: 5) - (1 + 0.5 + 14 * 0.1)) < 1e-9)
  }

  @Test func whoHadNoPartInARoundCostsItNothing() throws {
    #expect(try LinkShape(parsing: "1mbit,5s").seconds(up: 0, down: 0, layers: 5) == 0)
  }
}
