import Engine
import Federation
import Foundation
import Pages
import Support

/// What a comparison measures of a variant. The raw values are the keys of compare.json.
package enum Figure: String, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
  /// The most that a client's process had resident, of all stages.
  case memory = "memoryBytes"
  /// Floating-point operations of the average client over the run.
  case operations
  /// Of the average client, counted at the server's socket.
  case bytesUp
  case bytesDown
  case seconds
  case linearProbe
  /// The same before any training.
  case untrainedProbe
  case nearestNeighbours
  case fineTuned

  package var heading: String {
    switch self {
    case .memory: "memory"
    case .operations: "compute"
    case .bytesUp: "upload"
    case .bytesDown: "download"
    case .seconds: "time"
    case .linearProbe: "linear probe"
    case .untrainedProbe: "untrained"
    case .nearestNeighbours: "k-NN"
    case .fineTuned: "fine-tuned"
    }
  }

  package var unit: FigureUnit {
    switch self {
    case .memory, .bytesUp, .bytesDown: .bytes
    case .operations: .operations
    case .seconds: .seconds
    case .linearProbe, .untrainedProbe, .nearestNeighbours, .fineTuned: .share
    }
  }
}

/// One figure over several seeds.
package struct Spread: Sendable, Hashable, Codable {
  package let mean: Double
  /// The sample's standard deviation; nil for a single value, which has none.
  package let deviation: Double?
  /// How many values there were.
  package let count: Int

  /// Nil without values.
  package init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    (self.mean, self.count) = (mean, values.count)
    deviation = values.count > 1 ? (squares / (count - 1)).squareRoot() : nil
  }
}

/// What a round asks of a client that takes part, by calculation.
package struct RoundCost: Sendable, Hashable, Codable {
  package let stage: Int
  /// Counted from 1 in each stage.
  package let round: Int
  /// Floating-point operations (``PlannedOperations``); the mean over the clients.
  package let operations: Double
  /// Bytes of weights (``PlannedTraffic``).
  package let bytesUp: Int
  package let bytesDown: Int

  /// The costs of a plan's rounds, for clients of so many images each that take part in all of them.
  package static func all(of plan: Plan, samples: [Int]) -> [RoundCost] {
    // Clients with as many images compute as much.
    let clients = Dictionary(grouping: samples) { $0 }.map { images, clients in
      (operations: PlannedOperations(plan, images: images).rounds, count: clients.count)
    }
    return PlannedTraffic(plan).rounds.enumerated().map { index, traffic in
      let sum = clients.reduce(0) { $0 + $1.operations[index] * Double($1.count) }
      return RoundCost(
        stage: traffic.key.stage, round: traffic.key.round,
        operations: sum / Double(max(samples.count, 1)), bytesUp: traffic.bytesUp,
        bytesDown: traffic.bytesDown)
    }
  }
}

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
