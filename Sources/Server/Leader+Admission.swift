import Engine
import Federation
import Foundation

/// Which updates are taken, and whose.
extension Leader {
  /// Refusals in a row after which a client rests, and for how many committed rounds.
  static let mostRefusals = 3
  static let restRounds = 5

  /// What is wrong with the bytes of a whole update, as far as its digest and numbers do not say.
  func fault(of bytes: Data, _ offer: UpdateOffer, from client: String) -> Refusal? {
    guard plan.round.normLimit > 0 else { return nil }
    guard let snapshot = offer.key == round.key ? snapshot : previous else { return nil }
    let versions = snapshot.trained(keeping: plan.keptBlocks(offer.key, client: client))
    var (offset, distance, length) = (0, 0.0, 0.0)
    for version in versions {
      guard let base = snapshot.data(version.digest) else { return nil }
      base.withUnsafeBytes { old in
        bytes.withUnsafeBytes { new in
          for index in 0..<version.bytes / 4 {
            let a = old.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
            let b = new.loadUnaligned(fromByteOffset: offset + 4 * index, as: Float.self)
            distance += Double(b - a) * Double(b - a)
            length += Double(a) * Double(a)
          }
        }
      }
      offset += version.bytes
    }
    return distance.squareRoot() > Double(plan.round.normLimit) * length.squareRoot() ? .overNorm : nil
  }

  /// An update of a client was refused.
  func countRefusal(_ client: String) {
    refusals[client, default: 0] += 1
    guard refusals[client] == Self.mostRefusals else { return }
    refusals[client] = 0
    rests[client] = Self.restRounds
    note(.rests(client: client, rounds: Self.restRounds))
  }

  /// A round was committed: those who rest do so for one less.
  func restsPass() { rests = rests.mapValues { $0 - 1 }.filter { $0.value > 0 } }
}
