import Federation
import Server

/// The linear probe of the encoder as a round left it.
package struct RoundProbe: Sendable, Hashable, Codable {
  package let stage: Int
  /// Counted from 1 in each stage.
  package let round: Int
  /// 0 … 1.
  package let linearProbe: Double

  package init(stage: Int, round: Int, linearProbe: Double) {
    (self.stage, self.round, self.linearProbe) = (stage, round, linearProbe)
  }

  /// Probes every so many of a store's committed rounds, counted over all stages, and the last one.
  static func all(
    of store: Store, _ plan: Plan, every interval: Int, _ accuracy: (Snapshot) throws -> Double
  ) throws -> [RoundProbe] {
    let committed = try store.committedRounds()
    var probes: [RoundProbe] = []
    for (index, (stage, round)) in committed.enumerated() {
      guard (index + 1) % interval == 0 || index + 1 == committed.count else { continue }
      let weights = try store.layers(of: round).map(\.weights)
      let snapshot = Snapshot(plan.stage(stage.number), parts: weights)
      probes.append(
        RoundProbe(stage: stage.number, round: round.number, linearProbe: try accuracy(snapshot)))
    }
    return probes
  }
}
