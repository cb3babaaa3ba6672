import Engine
import Federation
import Foundation

/// Which updates are taken, and whose.
extension Leader {
  /// Refusals in a row after which a client rests, and for how many committed rounds.
  static let mostRefusals = 3
  static let restRounds = 5

  /// The values of an update whose bytes are all here. Throws what is wrong with them, as far as their digest
  /// does not say.
  func decode(_ bytes: Data, _ offer: UpdateOffer, from client: String) throws(Refusal) -> [Float] {
    guard let snapshot = offer.key == round.key ? snapshot : previous else { throw .wrongRound }
    let kept = plan.keptBlocks(offer.key, client: client)
    let coding = plan.coding(offer.codec ?? .plain, offer.key.stage, keeping: kept)
    let base = snapshot.trainedWeights(keeping: kept)
    let values: [Float]
    do { values = try coding.decode(bytes, base: base) } catch { throw .undecodable }
    guard values.allSatisfy(\.isFinite) else { throw .notFinite }
    if plan.round.normLimit > 0 {
      var (distance, length) = (0.0, 0.0)
      for (old, new) in zip(base, values) {
        distance += Double(new - old) * Double(new - old)
        length += Double(old) * Double(old)
      }
      guard distance.squareRoot() <= Double(plan.round.normLimit) * length.squareRoot() else {
        throw .overNorm
      }
    }
    return values
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
