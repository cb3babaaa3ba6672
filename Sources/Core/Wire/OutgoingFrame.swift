import Federation
import Foundation

/// A message as it travels. What many are sent is made once, its checksum with it; of a long payload no copy is made.
package struct OutgoingFrame: Sendable {
  /// They follow each other.
  package let pieces: [Data]

  /// Throws ``WireError`` where the message has no frame.
  package init(_ message: Message) throws(WireError) {
    do { pieces = try message.frame().pieces() } catch { throw .malformed("\(error)") }
  }

  /// Bytes on the wire.
  package var count: Int { pieces.reduce(0) { $0 + $1.count } }
}
