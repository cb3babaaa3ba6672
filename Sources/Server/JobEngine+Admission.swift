import Federation
import Foundation

/// Whose updates were rejected, and what follows.
extension JobEngine {
  /// Rejections in a row after which a client rests, and for how many committed rounds.
  static let mostConsecutiveRejections = 3
  static let restRounds = 5
  /// Rejected offers of a client that an attempt at a round has in the store and the log, apart from the one by which it
  /// loses its place in the round, and from that of its late update; more are only answered.
  package static let mostRecorded = 8
  /// Clients that are remembered for what they did while they are away. Where no certificate proves a name, names are
  /// whatever a peer says.
  private static let mostRemembered = 4096

  /// An update of a client was rejected.
  func countRejection(_ client: String) {
    consecutiveRejections[client, default: 0] += 1
    guard consecutiveRejections[client] == Self.mostConsecutiveRejections else { return }
    consecutiveRejections[client] = 0
    rests[client] = Self.restRounds
    note(.rests(client: client, rounds: Self.restRounds))
  }

  /// A client is gone: what is known of its connection goes, and what it did is forgotten where too many are remembered.
  func forget(_ client: String) {
    (codecs[client], holdings[client]) = (nil, nil)
    let isKept = { [present] (name: String) in present.contains(name) }
    if consecutiveRejections.count > Self.mostRemembered {
      consecutiveRejections = consecutiveRejections.filter { isKept($0.key) }
    }
    if rests.count > Self.mostRemembered { rests = rests.filter { isKept($0.key) } }
    if away.count > Self.mostRemembered { away = away.filter { isKept($0.key) } }
    if rejections.count > Self.mostRemembered { rejections = rejections.filter { isKept($0.key) } }
  }

  /// A round was committed: those who rest do so for one less.
  func restsPass() { rests = rests.mapValues { $0 - 1 }.filter { $0.value > 0 } }
}
