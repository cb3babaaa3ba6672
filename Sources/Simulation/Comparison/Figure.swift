import Engine
import Federation
import Foundation
import Pages
import Support

/// The figures that a comparison measures. The raw values are the keys of compare.json.
package enum Figure: String, Sendable, Codable, CaseIterable, CodingKeyRepresentable {
  /// The peak resident memory of a client's process over all stages.
  case memory = "memoryBytes"
  /// The floating-point operations of the average client over the run.
  case operations
  /// The traffic of the average client, counted at the server's socket.
  case bytesUp
  case bytesDown
  case seconds
  case linearProbe
  /// The linear probe before training.
  case untrainedProbe
  case nearestNeighbours
  case fineTuned
  /// Logistic regression on the nodes of a graph, after and before training, and how different the nodes are.
  case logisticRegression, untrainedRegression, smoothness
  /// The measures of the last exit of a classification, and the accuracy of always predicting the most frequent class.
  case accuracy, majorityBaseline, balancedAccuracy, macroF1, auroc

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
    case .logisticRegression: "logistic"
    case .untrainedRegression: "untrained logistic"
    case .smoothness: "smoothness"
    case .accuracy: "accuracy"
    case .majorityBaseline: "majority"
    case .balancedAccuracy: "balanced"
    case .macroF1: "macro-F1"
    case .auroc: "AUROC"
    }
  }

  package var unit: FigureUnit {
    switch self {
    case .memory, .bytesUp, .bytesDown: .bytes
    case .operations: .operations
    case .seconds: .seconds
    case .linearProbe, .untrainedProbe, .nearestNeighbours, .fineTuned: .share
    case .accuracy, .majorityBaseline, .balancedAccuracy, .macroF1: .share
    case .logisticRegression, .untrainedRegression: .share
    case .auroc, .smoothness: .plain
    }
  }

  /// Whether variants are compared by the ratio of their figures, as costs are, and not by the difference.
  package var isCost: Bool {
    switch self {
    case .memory, .operations, .bytesUp, .bytesDown, .seconds: true
    default: false
    }
  }

  /// Whether it does not depend on training, so that a comparison has no meaning.
  package var isReference: Bool {
    [.untrainedProbe, .untrainedRegression, .majorityBaseline].contains(self)
  }
}

/// The computed costs of a round for a client that takes part.
package struct RoundCost: Sendable, Hashable, Codable {
  package let stage: Int
  /// The round, counted from 1 in each stage.
  package let round: Int
  /// The floating-point operations (``PlannedOperations``); the mean over the clients.
  package let operations: Double
  /// The bytes of weights (``PlannedTraffic``).
  package let bytesUp: Int
  package let bytesDown: Int

  /// Returns the costs of a plan's rounds. Each element of `samples` is the number of images of a client that takes
  /// part in all rounds.
  package static func all(of plan: Plan, samples: [Int]) -> [RoundCost] {
    // Clients with the same number of images have the same operations.
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

/// The figures of a run.
extension Summary {
  package var linearProbe: Double? { evaluation?.trained.linearProbe ?? probe?.trained }
  package var untrainedProbe: Double? { evaluation?.untrained.linearProbe ?? probe?.untrained }

  /// The seconds of all rounds, without start and evaluation.
  package var roundSeconds: Double { rounds.reduce(0) { $0 + $1.seconds } }

  /// The average client's traffic, counted at the server's socket.
  package var bytesUp: Double { mean(\.bytesUp) }
  package var bytesDown: Double { mean(\.bytesDown) }

  /// The number of images of each client that has trained.
  package var samples: [Int] { clients.map(\.samples).filter { $0 > 0 } }

  private func mean(_ bytes: KeyPath<ClientTraffic, Int>) -> Double {
    Double(clients.reduce(0) { $0 + $1[keyPath: bytes] }) / Double(max(clients.count, 1))
  }

  /// Returns the operations of the average client over the run, given the costs of a round for a client.
  package func operations(_ costs: [RoundCost]) -> Double {
    let share = zip(costs, rounds).map { $0.operations * Double($1.clients) }
    return share.reduce(0, +) / Double(max(clients.count, 1))
  }

  /// Reads a run's folder; nil if it has no complete summary.
  package init?(folder: URL) {
    guard let data = try? Data(contentsOf: folder.appendingPathComponent("summary.json")),
      let summary = try? JSON.read(Summary.self, from: data)
    else { return nil }
    self = summary
  }
}
