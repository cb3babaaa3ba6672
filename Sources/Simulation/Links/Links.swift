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
