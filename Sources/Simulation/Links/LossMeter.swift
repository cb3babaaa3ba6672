import Engine
import Foundation
import Synchronization

/// How many bytes a connection still carries, both ways together, before it is cut.
///
/// Each byte is as likely as any other to be the last: so a connection that has lived long is not more likely to
/// be cut than a new one.
package final class LossMeter: Sendable {
  /// Nil where it is never cut.
  private let left: Mutex<Int?>

  /// Draws the distance to the cut; `percent` is the chance to be cut within 10^6 bytes.
  package init(percent: Double, _ random: inout RandomNumbers) {
    guard percent > 0 else {
      left = Mutex(nil)
      return
    }
    // The distance is exponential: after x megabytes (1 - p)^x are left of all connections.
    let megabytes = Foundation.log(1 - Double(random.uniform())) / Foundation.log1p(-percent / 100)
    left = Mutex(Int(min(megabytes * 1e6, 1e18)))
  }

  /// Counts bytes that are to be carried. Returns how many of them are before the cut.
  package func take(_ bytes: Int) -> Int {
    left.withLock { left in
      guard let rest = left else { return bytes }
      left = max(rest - bytes, 0)
      return min(rest, bytes)
    }
  }
}
