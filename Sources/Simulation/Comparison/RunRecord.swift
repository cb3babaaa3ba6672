import Foundation

/// What a comparison reads of a run's summary.json. It names only what it needs, so that a run may say more.
package struct RunRecord: Sendable, Decodable {
  package struct Round: Sendable, Decodable {
    package let stage: Int
    package let round: Int
    package let loss: Double
    package let seconds: Double
    /// Clients whose updates were admitted.
    package let clients: Int
  }

  package struct Client: Sendable, Decodable {
    package let name: String
    package let samples: Int
    package let bytesUp: Int
    package let bytesDown: Int
  }

  package struct Probe: Sendable, Decodable {
    package let trained: Double
    package let untrained: Double
  }

  /// Accuracies of an encoder, 0 … 1.
  package struct Accuracies: Sendable, Decodable {
    package let linearProbe: Double?
    package let nearestNeighbours: Double?
    package let fineTuned: Double?
  }

  package struct Evaluation: Sendable, Decodable {
    package let trained: Accuracies
    package let untrained: Accuracies?
  }

  package let rounds: [Round]
  package let clients: [Client]
  /// Whether its encoder maps all images to next to the same place.
  package let collapsed: Bool?
  package let evaluation: Evaluation?
  /// The linear probe of a run that says no more.
  package let probe: Probe?
  package let probes: [RoundProbe]?

  package var linearProbe: Double? { evaluation?.trained.linearProbe ?? probe?.trained }
  package var untrainedProbe: Double? { evaluation?.untrained?.linearProbe ?? probe?.untrained }

  /// Seconds of all rounds: evaluation and start are the simulation's own.
  package var seconds: Double { rounds.reduce(0) { $0 + $1.seconds } }

  /// The average client's traffic, as counted at the server's socket.
  package var bytesUp: Double { mean(\.bytesUp) }
  package var bytesDown: Double { mean(\.bytesDown) }

  /// The images of each client that has trained.
  package var samples: [Int] { clients.map(\.samples).filter { $0 > 0 } }

  private func mean(_ bytes: KeyPath<Client, Int>) -> Double {
    Double(clients.reduce(0) { $0 + $1[keyPath: bytes] }) / Double(max(clients.count, 1))
  }

  /// Operations of the average client over the run, of rounds that cost a client so much that takes part.
  package func operations(_ costs: [RoundCost]) -> Double {
    let share = zip(costs, rounds).map { $0.operations * Double($1.clients) }
    return share.reduce(0, +) / Double(max(clients.count, 1))
  }

  /// Reads a run's folder; nil where no whole summary is in it.
  package init?(folder: URL) {
    guard let data = try? Data(contentsOf: folder.appendingPathComponent("summary.json")),
      let record = try? JSONDecoder().decode(RunRecord.self, from: data)
    else { return nil }
    self = record
  }
}
