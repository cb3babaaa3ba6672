import FlyingSocks
import Foundation

/// The limits of the protocol, each with its reason.
package enum WireLimits {
  /// The maximum bytes of a frame before a peer's hello. A hello is under 200 bytes; one with the layers that the
  /// client stores is under 3,000.
  package static let frameBeforeHello = 4 << 10
  /// The bytes of a layer or an update per frame: a tenth of a second at 10 Mbit/s, which is the longest delay of a
  /// heartbeat.
  package static let chunk = 128 << 10
  /// Returns the bytes of an update per frame if `clients` clients may send at once. All incoming frames together take
  /// a server at most 16 MiB, and the smallest frames are still large compared with their heads.
  package static func chunk(clients: Int) -> Int { min(max((16 << 20) / max(clients, 1), 16 << 10), chunk) }
  /// The maximum bytes of other frames: a chunk and its head, or an assignment of 256 blocks, which is under 64 KiB.
  package static let frame = chunk + (64 << 10)
  /// The interval of heartbeats in seconds; a connection ends after three intervals of silence.
  package static var heartbeatSeconds: Int { 10 * slack }
  /// Returns the maximum silence of the other end of a connection.
  package static func silence(heartbeat: Duration) -> Duration { heartbeat * 3 * slack }
  /// The timeout in seconds of a connection's hello, and of a client's connection attempt.
  package static var helloSeconds: Int { 10 * slack }
  /// A factor for all timeouts of peers. It is 1 in programs. A test increases it for slow machines; a task-local value
  /// avoids parameters from the test to the socket.
  @TaskLocal package static var slack = 1
}

/// Limits on the kernel's buffers of a socket, set before it connects or listens.
///
/// The kernel of the sender derives its buffer size from the segment size. Over loopback a segment has 64 KB, so 4 MB
/// or more are buffered; a network card's segments lead to a tenth of that.
package struct SocketLimits: Sendable {
  /// The maximum segment size in bytes that the other end may send (TCP's MSS, RFC 9293).
  package var segment: Int32
  /// The maximum number of received bytes that are unread; Linux doubles the number for its overhead.
  package var unread: Int32

  package init(segment: Int32, unread: Int32) { (self.segment, self.unread) = (segment, unread) }

  func apply(to socket: Socket) throws {
    try socket.setValue(segment, for: Int32SocketOption(level: Int32(IPPROTO_TCP), name: TCP_MAXSEG))
    try socket.setValue(unread, for: Int32SocketOption(level: SOL_SOCKET, name: SO_RCVBUF))
  }
}
