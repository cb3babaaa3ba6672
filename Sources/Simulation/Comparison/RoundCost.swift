import Federation

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
