import Federation
import Foundation

/// A late update as if it had been trained from today's weights: what its client has changed stays changed.
struct LateUpdate {
  /// The model that it was trained from, and the present one, of the same stage.
  let old, new: Snapshot

  /// The bytes and the offer to store for the round `key` in place of those that the client sent.
  func rebased(_ offer: UpdateOffer, _ bytes: Data, to key: RoundKey) -> (offer: UpdateOffer, bytes: Data) {
    var values = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    var first = 0
    for (before, after) in zip(old.trainedParts, new.trainedParts) {
      before.withUnsafeBytes { before in
        after.withUnsafeBytes { after in
          for index in 0..<before.count / 4 {
            let a = before.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
            let b = after.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
            values[first + index] = b + (values[first + index] - a)
          }
        }
      }
      first += before.count / 4
    }
    let rebased = values.withUnsafeBytes { Data($0) }
    var folded = offer
    (folded.key, folded.base, folded.digest) = (key, new.base, Digest(of: rebased))
    return (folded, rebased)
  }
}

extension Snapshot {
  /// The weights of the parts that its stage trains, in order.
  fileprivate var trainedParts: [Data] {
    trained(keeping: Array(0..<stage.model.depth)).compactMap { data($0.digest) }
  }
}
