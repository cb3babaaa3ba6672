import Engine
import Foundation
import Support

/// What a comparison makes of a run.
extension Summary {
  package var linearProbe: Double? { evaluation?.trained.linearProbe ?? probe?.trained }
  package var untrainedProbe: Double? { evaluation?.untrained.linearProbe ?? probe?.untrained }

  /// Seconds of all rounds: evaluation and start are the simulation's own.
  package var roundSeconds: Double { rounds.reduce(0) { $0 + $1.seconds } }

  /// The average client's traffic, as counted at the server's socket.
  package var bytesUp: Double { mean(\.bytesUp) }
  package var bytesDown: Double { mean(\.bytesDown) }

  /// The images of each client that has trained.
  package var samples: [Int] { clients.map(\.samples).filter { $0 > 0 } }

  private func mean(_ bytes: KeyPath<ClientTraffic, Int>) -> Double {
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
      let summary = try? JSON.read(Summary.self, from: data)
    else { return nil }
    self = summary
  }
}
