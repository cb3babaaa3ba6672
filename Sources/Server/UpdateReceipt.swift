import Engine
import Federation
import Foundation

/// What was learned of an update's bytes while they came, so that they need not be read again.
package struct UpdateReceipt: Sendable, Hashable {
  package let digest: Digest
  /// Whether no float32 value is infinite or none at all; nil where the pieces were not of whole values.
  package let areFinite: Bool?
}

/// An update on its way in, as one connection takes it.
package final class UpdateArrival {
  private var hasher = Hasher256()
  private var (count, areFinite): (Int, Bool?) = (0, true)

  package init() {}

  /// Another update, or this one again, comes from the beginning or from somewhere in its midst.
  package func begin() {
    _ = hasher.restart()
    (count, areFinite) = (0, true)
  }

  /// Takes a piece. One that is not the next to those before it is of an update that began earlier.
  package func take(_ bytes: Data, at offset: Int) {
    guard offset == count else { return }
    count += bytes.count
    bytes.withUnsafeBytes { bytes in
      hasher.update(bytes)
      areFinite = areFinite.flatMap { known in
        bytes.count % 4 == 0 ? known && Elementwise.areFinite(bytes: bytes) : nil
      }
    }
  }

  /// What is known of an update that has come; nil where some of its bytes came on another connection.
  package func receipt(of offer: UpdateOffer) -> UpdateReceipt? {
    guard count == offer.bytes else { return nil }
    return UpdateReceipt(digest: hasher.restart(), areFinite: areFinite)
  }
}
