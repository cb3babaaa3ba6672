import Engine
import Federation
import Foundation
import Support

/// What came of a comparison: everything that its table and its page show, as compare.json has it.
package struct ComparisonReport: Sendable, Codable {
  package let name: String
  /// As it was typed.
  package let command: String
  /// The plan that was varied, in full.
  package let plan: String
  package let clients: Int
  package let data: String
  package let testData: String
  package let partition: String
  package let seeds: [UInt64]
  package let rows: [Row]

  /// A run, or a measurement of memory, that failed.
  package struct Failure: Error, Sendable, Hashable, Codable {
    /// As in `layer-wise-simclr-7`, or `layer-wise-simclr memory`.
    package let name: String
    /// How its process ended; negative for a signal.
    package let code: Int32
    /// The code of a run whose training diverged (README, exit codes).
    package static let divergence: Int32 = 11
    package let reason: String

    package init(name: String, code: Int32, reason: String) {
      (self.name, self.code, self.reason) = (name, code, reason)
    }
  }

  /// One line of the table: a variant over all seeds.
  package struct Row: Sendable, Codable {
    package let variant: ComparisonVariant
    /// Seeds whose runs finished.
    package let finished: Int
    /// How many of them ended with a collapsed encoder.
    package let collapsed: Int
    /// Runs that came to nothing because their trainings diverged.
    package let diverged: Int
    package let figures: [Figure: Spread]
    /// The figures' means over those of end-to-end training with the same loss, where that was run.
    package internal(set) var ratios: [Figure: Double] = [:]
    package let memoryByStage: [StageMemory.Result]
    /// Means over the seeds.
    package let rounds: [Round]
    package let probes: [RoundProbe]
    package let failures: [Failure]
  }

  /// One round of a row.
  package struct Round: Sendable, Hashable, Codable {
    package let stage: Int
    package let round: Int
    package let loss: Double
    /// Of a client that takes part, by calculation.
    package let operations: Double
    package let bytesUp: Double?
    package let bytesDown: Double?
    /// The most that its process had resident, measured once a stage.
    package let memoryBytes: Int?
  }

  package init(
    name: String, command: String, plan: String, clients: Int, data: String, testData: String,
    partition: String, seeds: [UInt64], rows: [Row]
  ) {
    (self.name, self.command, self.plan, self.clients) = (name, command, plan, clients)
    (self.data, self.testData, self.partition, self.seeds) = (data, testData, partition, seeds)
    self.rows = rows.map { row in
      let base = rows.first { $0.variant == ComparisonVariant(.endToEnd, row.variant.ssl) }
      var row = row
      // Before training there is nothing to hold against each other.
      for (figure, spread) in row.figures where figure != .untrainedProbe {
        guard let other = base?.figures[figure], other.mean > 0 else { continue }
        row.ratios[figure] = spread.mean / other.mean
      }
      return row
    }
  }

  package var failures: [Failure] { rows.flatMap(\.failures) }

  /// Writes compare.json, compare.txt and compare.html.
  package func write(to folder: URL) throws {
    func write(_ text: String, _ name: String) throws {
      try Data(text.utf8).write(to: folder.appendingPathComponent(name), options: .atomic)
    }
    try write(try json(), "compare.json")
    try write(ComparisonTable.text(of: self), "compare.txt")
    try write(ComparisonPage(self).html, "compare.html")
  }

  package func json() throws -> String {
    String(decoding: try JSON.shown(self), as: UTF8.self) + "\n"
  }
}

extension ComparisonReport.Row {
  /// A variant's row, from what its runs left behind. `plan` is that of any of its seeds.
  package init(
    _ variant: ComparisonVariant, plan: Plan, runs: [Summary], memory: [StageMemory.Result],
    failures: [ComparisonReport.Failure]
  ) {
    let costs = runs.map { RoundCost.all(of: plan, samples: $0.samples) }
    var values: [Figure: [Double]] = [:]
    values[.memory] = memory.map { Double($0.peakMemoryBytes) }.max().map { [$0] } ?? []
    for (run, costs) in zip(runs, costs) {
      values[.operations, default: []].append(run.operations(costs))
      // Nothing travels where there is no federation; what the simulation's loopback carries says nothing.
      if variant.training != .centralised {
        values[.bytesUp, default: []].append(run.bytesUp)
        values[.bytesDown, default: []].append(run.bytesDown)
      }
      values[.seconds, default: []].append(run.roundSeconds)
      let trained = run.evaluation?.trained
      for (figure, value) in [
        (Figure.linearProbe, run.linearProbe), (.untrainedProbe, run.untrainedProbe),
        (.nearestNeighbours, trained?.nearestNeighbours), (.fineTuned, trained?.fineTuned),
      ] {
        if let value { values[figure, default: []].append(value) }
      }
    }
    (self.variant, finished, self.failures) = (variant, runs.count, failures)
    figures = values.compactMapValues { Spread($0) }
    collapsed = runs.count { $0.collapsed }
    diverged = failures.count { $0.code == ComparisonReport.Failure.divergence }
    memoryByStage = memory
    rounds = Self.rounds(runs, costs, memory, travels: variant.training != .centralised)
    probes = Self.probes(runs)
  }

  private static func rounds(
    _ runs: [Summary], _ costs: [[RoundCost]], _ memory: [StageMemory.Result], travels: Bool
  ) -> [ComparisonReport.Round] {
    guard let first = costs.first else { return [] }
    func mean(_ value: (Int) -> Double) -> Double {
      runs.indices.reduce(0) { $0 + value($1) } / Double(runs.count)
    }
    let count = min(first.count, runs.map(\.rounds.count).min() ?? 0)
    return (0..<count).map { index in
      ComparisonReport.Round(
        stage: first[index].stage, round: first[index].round, loss: mean { runs[$0].rounds[index].loss },
        operations: mean { costs[$0][index].operations },
        bytesUp: travels ? mean { Double(costs[$0][index].bytesUp) } : nil,
        bytesDown: travels ? mean { Double(costs[$0][index].bytesDown) } : nil,
        memoryBytes: memory.first { $0.stage == first[index].stage }?.peakMemoryBytes)
    }
  }

  private static func probes(_ runs: [Summary]) -> [RoundProbe] {
    let all = runs.map { $0.probes ?? [] }
    guard let first = all.first else { return [] }
    return first.compactMap { probe in
      let same = all.compactMap { probes in
        probes.first { $0.stage == probe.stage && $0.round == probe.round }
      }
      guard same.count == runs.count, let mean = Spread(same.map(\.linearProbe))?.mean else { return nil }
      return RoundProbe(stage: probe.stage, round: probe.round, linearProbe: mean)
    }
  }
}
