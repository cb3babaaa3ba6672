import Federation
import Foundation

/// A late update as if it had been trained from today's weights: what its client has changed stays changed.
struct LateUpdate {
  /// The model that it was trained from, and the present one, of the same stage.
  let old, new: Snapshot

  /// The bytes and the offer to store for the round `key` in place of those that the client sent.
  func rebased(_ offer: UpdateOffer, _ values: [Float], to key: RoundKey) -> (offer: UpdateOffer, bytes: Data)
  {
    let all = Array(0..<new.stage.model.depth)
    let (before, after) = (old.trainedWeights(keeping: all), new.trainedWeights(keeping: all))
    let rebased = values.indices.map { after[$0] + (values[$0] - before[$0]) }
    let bytes = rebased.withUnsafeBytes { Data($0) }
    var folded = offer
    (folded.key, folded.base, folded.digest) = (key, new.base, Digest(of: bytes))
    (folded.codec, folded.bytes) = (nil, bytes.count)
    return (folded, bytes)
  }
}
