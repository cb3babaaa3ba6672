import Simulation
import Testing

@Suite struct PacerTests {
  private let start = ContinuousClock.now

  private func pacer(_ rate: String) throws -> Pacer { Pacer(try #require(BitRate(rate)), at: start) }

  @Test func bytesPassOneAfterTheOther() throws {
    var pacer = try pacer("1mbit")
    #expect(pacer.pass(125_000, at: start, isBacklogged: false) == start + .seconds(1))
    // These arrive before the first have passed.
    let early = start + .milliseconds(1)
    #expect(pacer.pass(125_000, at: early, isBacklogged: false) == start + .seconds(2))
  }

  /// The unused time of a silent sender is lost; that of a late reader is not.
  @Test func nothingIsSaved() throws {
    var pacer = try pacer("1mbit")
    let later = start + .seconds(10)
    #expect(pacer.pass(125_000, at: later, isBacklogged: false) == later + .seconds(1))
    #expect(pacer.pass(125_000, at: later + .seconds(9), isBacklogged: true) == later + .seconds(2))
  }

  @Test func aPieceIsTenMillisecondsWithinBounds() throws {
    #expect(try pacer("2mbit").piece == 2500)
    #expect(try pacer("64kbit").piece == 1460)
    #expect(try pacer("10gbit").piece == 65536)
  }
}
