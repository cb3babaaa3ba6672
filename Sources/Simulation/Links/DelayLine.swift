import Foundation
import Synchronization

/// Bytes under way in one direction of a link: at most so many, each piece with the time at which it arrives.
///
/// One task puts pieces in, another takes them out.
package final class DelayLine: Sendable {
  package struct Piece: Sendable {
    /// None at the end of all bytes.
    package let bytes: Data
    package let arrival: ContinuousClock.Instant

    package init(bytes: Data, arrival: ContinuousClock.Instant) {
      (self.bytes, self.arrival) = (bytes, arrival)
    }
  }

  /// What was put in, in order.
  package let pieces: AsyncStream<Piece>
  private let entry: AsyncStream<Piece>.Continuation
  private let capacity: Int
  private let held = Mutex(0)
  private let (releases, release) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

  /// - Parameter capacity: bytes that it holds at most.
  package init(capacity: Int) {
    self.capacity = capacity
    (pieces, entry) = AsyncStream.makeStream()
  }

  /// Waits until there is room for so many bytes, not more than the capacity, or the task is cancelled. Returns
  /// whether that took any waiting.
  package func waitForRoom(_ bytes: Int) async -> Bool {
    precondition(bytes <= capacity, "\(bytes) bytes for a delay line of \(capacity)")
    var hasWaited = false
    var waiting = releases.makeAsyncIterator()
    while held.withLock({ $0 > capacity - bytes }) {
      hasWaited = true
      guard await waiting.next() != nil else { break }
    }
    return hasWaited
  }

  package func put(_ piece: Piece) {
    held.withLock { $0 += piece.bytes.count }
    entry.yield(piece)
  }

  /// A piece has arrived, and is held no more.
  package func remove(_ piece: Piece) {
    held.withLock { $0 -= piece.bytes.count }
    release.yield()
  }
}
