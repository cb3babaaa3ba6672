import Federation

/// What a run's links did. The names are those of summary.json.
package struct LinkReport: Sendable, Hashable, Codable {
  package struct Round: Sendable, Hashable, Codable {
    package let stage: Int
    /// Counted from 1 in each stage.
    package let round: Int
    /// What the bytes of the round and their ways to and fro take on the slowest client's link, by calculation:
    /// the part of the round that is the network's.
    package let networkSeconds: Double
    /// Connections that were cut during the round.
    package let cuts: Int
  }

  /// Of every client's link.
  package let shape: LinkShape
  /// Connections that were cut, of all clients.
  package let cuts: Int
  package let rounds: [Round]
}

extension LinkShape {
  /// Ways of a round that wait for each other, beside the layers: assignment, offer, request, update.
  private static let waysOfRound = 4
  /// Ways of each layer that is fetched: a client asks for the next one when it has the one before.
  private static let waysOfLayer = 2

  /// What a round's bytes and layers take on the link, in seconds, where nothing is cut; nothing for a client
  /// that had no part in it.
  package func seconds(up: Int, down: Int, layers: Int) -> Double {
    guard up + down > 0 else { return 0 }
    let ways = Self.waysOfRound + Self.waysOfLayer * layers
    return (self.up.time(for: up) + self.down.time(for: down) + delay.duration * ways).seconds
  }
}
