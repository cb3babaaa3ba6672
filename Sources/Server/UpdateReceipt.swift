import Engine
import Federation
import Foundation

/// What was learned of an update's bytes while they came, so that they need not be read again.
package struct UpdateReceipt: Sendable, Hashable {
  package let digest: Digest
  /// The largest magnitude of its float32 values, not a number where one is none; nil where the pieces were not of whole
  /// values.
  package let largest: Float?
}

/// An update on its way into a file, as one connection takes it.
package final class UpdateArrival {
  private var file: UpdateFile?
  private var hasher = Hasher256()
  private var (count, largest): (Int, Float?) = (0, 0)

  package init() {}

  /// Another update, or this one again, comes from the beginning or from somewhere in its midst.
  package func begin(in file: consuming UpdateFile) {
    self.file = consume file
    _ = hasher.restart()
    (count, largest) = (0, 0)
  }

  /// Takes a piece, which is in the file then. One that is not the next to those before it is of an update that began
  /// earlier. Throws ``StoreError`` where it cannot be written.
  package func take(_ bytes: Data, at offset: Int) throws(StoreError) {
    try file?.write(bytes, at: offset)
    guard offset == count else { return }
    count += bytes.count
    bytes.withUnsafeBytes { bytes in
      hasher.update(bytes)
      largest = largest.flatMap { known in
        bytes.count % 4 == 0 ? Elementwise.larger(known, Elementwise.largestMagnitude(bytes: bytes)) : nil
      }
    }
  }

  /// Nothing more comes. Returns what is known of the update; nil where some of its bytes came on another connection.
  package func finish(_ offer: UpdateOffer) -> UpdateReceipt? {
    file = nil
    guard count == offer.bytes else { return nil }
    return UpdateReceipt(digest: hasher.restart(), largest: largest)
  }
}
