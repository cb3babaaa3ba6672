import FlyingSocks
import Foundation

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
