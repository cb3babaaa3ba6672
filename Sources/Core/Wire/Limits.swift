import FlyingSocks
import Foundation

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
  package static var heartbeatSeconds: Int { 10 * slack }
  /// How long the other end of a connection may show no sign of life.
  package static func silence(heartbeat: Duration) -> Duration { heartbeat * 3 * slack }
  /// Seconds that a new connection has for its hello, and a client for its connection.
  package static var helloSeconds: Int { 10 * slack }
  /// What the times of peers are multiplied by. It is 1 in all programs; a test gives more to what it starts in its own
  /// process, so that no machine is too slow for it. A task's own value: no way from a test to a socket needs a parameter.
  @TaskLocal package static var slack = 1
}

/// Bounds on what the kernel holds for a socket, set before it connects or listens.
///
/// Over loopback a segment has 64 KB, by which a sender's kernel reckons how much it buffers: 4 MB and more wait
/// there where a network card's segments would let it keep a tenth of that.
package struct SocketLimits: Sendable {
  /// Bytes of a segment that the other end may send (TCP's MSS, RFC 9293).
  package var segment: Int32
  /// Bytes that may have arrived and are not read yet; Linux doubles the number for its own needs.
  package var unread: Int32

  package init(segment: Int32, unread: Int32) { (self.segment, self.unread) = (segment, unread) }

  func apply(to socket: Socket) throws {
    try socket.setValue(segment, for: Int32SocketOption(level: Int32(IPPROTO_TCP), name: TCP_MAXSEG))
    try socket.setValue(unread, for: Int32SocketOption(level: SOL_SOCKET, name: SO_RCVBUF))
  }
}
