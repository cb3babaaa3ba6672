import Federation
import Foundation
import Synchronization
import Wire

/// A layer, or a delta to one, that clients fetch: its pieces as they travel are made by the first who is sent them,
/// and are the same for all who come after.
package final class OutgoingLayer: Sendable {
  private let digest: Digest
  /// What is fetched.
  package let bytes: Data
  /// By their number.
  private let frames: Mutex<[Int: OutgoingFrame]> = Mutex([:])

  package init(_ digest: Digest, _ bytes: Data) { (self.digest, self.bytes) = (digest, bytes) }

  /// Where the pieces from an offset on begin, `offset` first. What is asked for anew does not begin between the pieces
  /// that others get.
  package func offsets(from offset: Int) -> [Int] {
    let ends = stride(
      from: offset / WireLimits.chunk * WireLimits.chunk, to: bytes.count, by: WireLimits.chunk)
    return [offset] + ends.filter { $0 > offset }
  }

  /// The piece at an offset, to the next of the places where pieces begin. Throws ``WireError``.
  package func frame(at offset: Int) throws(WireError) -> OutgoingFrame {
    let (number, isWhole) = (offset / WireLimits.chunk, offset % WireLimits.chunk == 0)
    if isWhole, let frame = frames.withLock({ $0[number] }) { return frame }
    let frame = try OutgoingFrame(message(at: offset))
    if isWhole { frames.withLock { $0[number] = frame } }
    return frame
  }

  /// The same before it travels.
  package func message(at offset: Int) -> Message {
    let end = min((offset / WireLimits.chunk + 1) * WireLimits.chunk, bytes.count)
    let piece = bytes[(bytes.startIndex + offset)..<(bytes.startIndex + max(offset, end))]
    return .layer(LayerData(digest: digest, offset: offset, total: bytes.count), piece)
  }
}
