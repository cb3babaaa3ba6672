import Server
import Testing

@Suite struct DoorstepTests {
  private let doorstep: Doorstep

  init() {
    var limits = Doorstep.Limits()
    (limits.perAddress, limits.total) = (3, 5)
    doorstep = Doorstep(limits)
  }

  private func place(_ address: String) -> Doorstep.Place? {
    if case .welcome(let place) = doorstep.enter(address) { place } else { nil }
  }

  @Test func oneAddressFillsItsOwnPlacesAlone() {
    let places = (0..<4).map { _ in place("a") }
    #expect(places.map { $0 != nil } == [true, true, true, false])
    let other = place("b")
    #expect(other != nil)
    withExtendedLifetime((places, other)) {}
  }

  @Test func thereAreOnlySoManyPlacesInAll() {
    let places = ["a", "b", "c", "d", "e", "f"].map(place)
    #expect(places.map { $0 != nil } == [true, true, true, true, true, false])
    withExtendedLifetime(places) {}
  }

  @Test func aPlaceIsGivenBackOnceHoweverOftenItIsLeft() {
    var places = (0..<3).compactMap { _ in place("a") }
    #expect(place("a") == nil)
    places[0].leave()
    places[0].leave()
    let next = place("a")
    #expect(next != nil && place("a") == nil)
    // A connection that ends without a word gives its place back too.
    places.removeLast()
    #expect(place("a") != nil)
    withExtendedLifetime((places, next)) {}
  }

  /// A flood must not fill the log.
  @Test func anAddressIsNamedOnceAMinute() {
    let places = (0..<3).compactMap { _ in place("a") }
    let reasons = (0..<100).compactMap { _ -> String? in
      if case .full(let reason) = doorstep.enter("a") { reason } else { nil }
    }
    #expect(reasons.count == 1)
    withExtendedLifetime(places) {}
  }
}
