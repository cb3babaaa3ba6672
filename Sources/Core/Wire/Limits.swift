/// Bounds of what travels, each with its reason.
package enum WireLimits {
  /// Bytes of a frame from a peer that has not said hello: a hello is under 200, and one that names the
  /// layers that its client holds under 3,000.
  package static let frameBeforeHello = 4 << 10
  /// Bytes of a layer or an update in a frame: a tenth of a second on a link of 10 Mbit/s, so that a
  /// heartbeat never waits longer.
  package static let chunk = 128 << 10
  /// Bytes of an update in a frame where so many clients may send theirs at once: all frames on their way in take
  /// a server 16 MiB at most, and the smallest are still large beside their heads.
  package static func chunk(clients: Int) -> Int { min(max((16 << 20) / max(clients, 1), 16 << 10), chunk) }
  /// Bytes of any other frame: a chunk and its head, or an assignment of 256 blocks, which is under 64 KiB.
  package static let frame = chunk + (64 << 10)
  /// Seconds between signs of life; three times that without a word ends a connection.
  package static let heartbeatSeconds = 10
  /// Seconds that a new connection has for its hello.
  package static let helloSeconds = 10
}
