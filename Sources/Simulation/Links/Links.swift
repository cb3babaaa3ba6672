import Engine
import Federation
import Foundation
import Server
import Support
import Synchronization
import Wire

/// The links of a run's clients, and their traffic by round.
final class Links: Sendable {
  private struct State {
    var relays: [LinkRelay] = []
    /// The totals at the end of the last round.
    var counts: [LinkRelay.Counts] = []
    var rounds: [LinkReport.Round] = []
    /// The connections cut before the run was resumed.
    var earlierCuts = 0
  }

  private let shape: LinkShape
  private let seed: UInt64
  /// The number of layers that a client downloads in each round, computed from the plan.
  private let layers: [RoundKey: Int]
  private let state: Mutex<State>
  /// The report of the rounds so far, which a resumed run continues.
  private let file: URL

  /// Continues the report in `file`, if there is one. Throws an error of `Foundation` if it cannot be read.
  init(_ shape: LinkShape, of plan: Plan, file: URL) throws {
    (self.shape, self.file, seed) = (shape, file, plan.seed)
    var state = State()
    if FileManager.default.fileExists(atPath: file.path) {
      let report = try JSON.read(LinkReport.self, from: try Data(contentsOf: file))
      (state.rounds, state.earlierCuts) = (report.rounds, report.cuts)
    }
    self.state = Mutex(state)
    layers = Dictionary(uniqueKeysWithValues: PlannedTraffic(plan).rounds.map { ($0.key, $0.layersDown) })
  }

  /// Opens a link for each client, and runs `body` with the address of the server for each of them. Throws
  /// ``WireError`` if a link cannot listen, and the errors of `body`.
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

  /// Records a committed round, with the traffic since the previous one.
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
    // Without the file, a resumed run has no figures of the rounds before; the run itself does not need them.
    if let report = try? JSON.stored(report) { try? report.write(to: file, options: .atomic) }
  }

  var report: LinkReport {
    state.withLock {
      LinkReport(
        shape: shape, cuts: $0.earlierCuts + Self.cuts($0.relays.map(\.counts)), rounds: $0.rounds)
    }
  }

  private static func cuts(_ counts: [LinkRelay.Counts]) -> Int { counts.reduce(0) { $0 + $1.cuts } }
}

/// The report of a run's links. The names are those of summary.json.
package struct LinkReport: Sendable, Hashable, Codable {
  package struct Round: Sendable, Hashable, Codable {
    package let stage: Int
    /// The round, counted from 1 in each stage.
    package let round: Int
    /// The network's share of the round: the computed time of its bytes and delays on the slowest client's link.
    package let networkSeconds: Double
    /// The number of connections cut during the round.
    package let cuts: Int
  }

  /// The shape of every client's link.
  package let shape: LinkShape
  /// The number of connections cut, of all clients.
  package let cuts: Int
  package let rounds: [Round]

  /// The file of the report in the folder of a run.
  package static let name = "link.json"
}

extension LinkShape {
  /// The sequential one-way delays of a round, without the layers: assignment, offer, request, update.
  private static let waysOfRound = 4
  /// The one-way delays per fetched layer: a client requests the next layer after it has received the previous one.
  private static let waysOfLayer = 2

  /// Returns the seconds that a round's bytes and layers take on the link, without cuts; zero for a client without
  /// traffic.
  package func seconds(up: Int, down: Int, layers: Int) -> Double {
    guard up + down > 0 else { return 0 }
    let ways = Self.waysOfRound + Self.waysOfLayer * layers
    return (self.up.time(for: up) + self.down.time(for: down) + delay.duration * ways).seconds
  }
}
