import Federation
import Foundation

/// Whose updates were refused, and what follows.
extension Leader {
  /// Refusals in a row after which a client rests, and for how many committed rounds.
  static let mostRefusals = 3
  static let restRounds = 5

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
