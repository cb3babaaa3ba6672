/// When bytes have passed a link of some rate, as a value: a token bucket that saves nothing, so that N bytes
/// never take less than N * 8 / rate.
package struct Pacer: Sendable {
  package typealias Instant = ContinuousClock.Instant

  package let rate: BitRate
  /// When everything so far has passed.
  private var free: Instant

  package init(_ rate: BitRate, at now: Instant) { (self.rate, free) = (rate, now) }

  /// Bytes of a piece: what passes in 10 ms, from a packet of Ethernet up to 64 KiB.
  package var piece: Int { min(max(rate.bytes(in: .milliseconds(10)), 1460), 64 << 10) }

  /// When bytes have passed that come now. `isBacklogged`: they had been waiting, so that they pass right behind
  /// those before, however late this is asked.
  package mutating func pass(_ bytes: Int, at now: Instant, isBacklogged: Bool) -> Instant {
    let start = isBacklogged ? free : max(free, now)
    free = start + rate.time(for: bytes)
    return free
  }
}
