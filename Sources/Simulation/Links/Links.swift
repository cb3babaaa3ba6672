import Engine
import Federation
import Server
import Synchronization
import Wire

/// The links of a run's clients, and what they carried by round.
final class Links: Sendable {
  private struct State {
    var relays: [LinkRelay] = []
    /// At the end of the last round.
    var counts: [LinkRelay.Counts] = []
    var rounds: [LinkReport.Round] = []
  }

  private let shape: LinkShape
  private let seed: UInt64
  /// Layers that a client downloads in a round, by plan.
  private let layers: [RoundKey: Int]
  private let state = Mutex(State())

  init(_ shape: LinkShape, of plan: Plan) {
    (self.shape, seed) = (shape, plan.seed)
    layers = Dictionary(uniqueKeysWithValues: PlannedTraffic(plan).rounds.map { ($0.key, $0.layersDown) })
  }

  /// Opens a link for each client, and runs `body` with where each of them finds the server. Throws ``WireError``
  /// where a link cannot listen, and whatever `body` throws.
  func open<Result: Sendable>(
    for clients: [String], to server: Endpoint, _ body: ([Endpoint]) async throws -> Result
  ) async throws -> Result {
    var relays: [LinkRelay] = []
    for client in clients {
      let seed = RandomNumbers.derive(seed, "link \(client)")
      relays.append(try await LinkRelay(shape, to: server, seed: seed))
    }
    state.withLock { [relays] in
      $0.relays = relays
      $0.counts = relays.map(\.counts)
    }
    return try await withThrowingTaskGroup(of: Void.self) { group in
      for relay in relays { group.addTask { try await relay.run() } }
      let result = try await body(relays.map(\.endpoint))
      for relay in relays { relay.shutDown() }
      try await group.waitForAll()
      return result
    }
  }

  /// A round is committed: what was carried since the last one is its own.
  func note(_ round: RoundSummary) {
    state.withLock { state in
      let counts = state.relays.map(\.counts)
      let layers = layers[RoundKey(stage: round.stage, round: round.round)] ?? 0
      let seconds = zip(counts, state.counts).map {
        shape.seconds(up: $0.up - $1.up, down: $0.down - $1.down, layers: layers)
      }
      state.rounds.append(
        LinkReport.Round(
          stage: round.stage, round: round.round, networkSeconds: seconds.max() ?? 0,
          cuts: Self.cuts(counts) - Self.cuts(state.counts)))
      state.counts = counts
    }
  }

  var report: LinkReport {
    state.withLock {
      LinkReport(shape: shape, cuts: Self.cuts($0.relays.map(\.counts)), rounds: $0.rounds)
    }
  }

  private static func cuts(_ counts: [LinkRelay.Counts]) -> Int { counts.reduce(0) { $0 + $1.cuts } }
}

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
