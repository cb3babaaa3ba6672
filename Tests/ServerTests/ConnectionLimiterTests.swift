import TestSupport
import Server
import Testing

@Suite struct ConnectionLimiterTests {
  private let limiter: ConnectionLimiter
  private let evicted = EventLog<String>()

  init() {
    var limits = ConnectionLimiter.Limits()
    (limits.perAddress, limits.total) = (3, 5)
    limiter = ConnectionLimiter(limits)
  }

  private func place(_ address: String) -> ConnectionLimiter.Place? {
    let answer = limiter.enter(address, hangUp: { [evicted] in evicted.note(address) })
    return if case .welcome(let place, _) = answer { place } else { nil }
  }

  @Test func oneAddressFillsItsOwnPlacesAlone() {
    let places = (0..<4).map { _ in place("a") }
    #expect(places.map { $0 != nil } == [true, true, true, false])
    let other = place("b")
    #expect(other != nil)
    withExtendedLifetime((places, other)) {}
  }

  /// A client gets a place at once, even if unauthenticated peers hold all of them.
  @Test func whoHasBeenSilentLongestMakesRoom() {
    let places = ["a", "b", "c", "d", "e", "f", "g"].map(place)
    #expect(places.allSatisfy { $0 != nil })
    #expect(evicted.all == ["a", "b"])
    #expect(places.map { $0?.isLost ?? false } == [true, true, false, false, false, false, false])
    // Clients authenticated in time are not evicted.
    places[2]?.leave()
    let next = [place("h"), place("i")]
    #expect(evicted.all == ["a", "b", "d"])
    withExtendedLifetime((places, next)) {}
  }

  @Test func aPlaceIsGivenBackOnceHoweverOftenItIsLeft() {
    var places = (0..<3).compactMap { _ in place("a") }
    #expect(place("a") == nil)
    places[0].leave()
    places[0].leave()
    let next = place("a")
    #expect(next != nil && place("a") == nil)
    // A connection that ends without a message releases its place, too.
    places.removeLast()
    #expect(place("a") != nil)
    withExtendedLifetime((places, next)) {}
  }

  /// A flood of connections must not fill the log.
  @Test func anAddressIsNamedOnceAMinute() {
    let places = (0..<3).compactMap { _ in place("a") }
    let reasons = (0..<100).compactMap { _ -> String? in
      if case .full(let reason) = limiter.enter("a", hangUp: {}) { reason } else { nil }
    }
    #expect(reasons.count == 1)
    withExtendedLifetime(places) {}
  }
}
