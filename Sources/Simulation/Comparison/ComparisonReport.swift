import Engine
import Federation
import Foundation
import Support

/// The results of a comparison: the content of its table and its page, and of compare.json.
package struct ComparisonReport: Sendable, Codable {
  package let name: String
  /// The command as typed.
  package let command: String
  /// The complete plan that was varied.
  package let plan: String
  package let clients: Int
  package let data: String
  package let testData: String
  package let partition: String
  package let seeds: [UInt64]
  package let rows: [Row]

  /// A failed run or memory measurement.
  package struct Failure: Error, Sendable, Hashable, Codable {
    /// The name, such as `layer-wise-simclr-7` or `layer-wise-simclr memory`.
    package let name: String
    /// The exit code of the process; negative for a signal.
    package let code: Int32
    /// The exit code of a run with a diverged training (README, exit codes).
    package static let divergence: Int32 = 11
    package let reason: String

    package init(name: String, code: Int32, reason: String) {
      (self.name, self.code, self.reason) = (name, code, reason)
    }
  }

  /// One row of the table: a variant over all seeds.
  package struct Row: Sendable, Codable {
    package let variant: ComparisonVariant
    /// The number of seeds whose runs finished.
    package let finished: Int
    /// The number of finished runs with a collapsed encoder.
    package let collapsed: Int
    /// The number of runs that failed because of diverged trainings.
    package let diverged: Int
    package let figures: [Figure: Spread]
    /// The ratios of the figures' means to those of end-to-end training with the same loss, if that was run.
    package internal(set) var ratios: [Figure: Double] = [:]
    package let memoryByStage: [StageMemory.Result]
    /// The means over the seeds.
    package let rounds: [Round]
    package let probes: [RoundProbe]
    /// The last exit of a classification on the test images, counted over the runs; nil for other objectives.
    package let lastExit: ClassificationReport?
    /// The analyses of layers, means over the seeds; nil without one. The representations are those of the first seed.
    package let analysis: AnalysisReport?
    package let failures: [Failure]
  }

  /// One round of a row.
  package struct Round: Sendable, Hashable, Codable {
    package let stage: Int
    package let round: Int
    package let loss: Double
    /// The computed cost of a client that takes part.
    package let operations: Double
    package let bytesUp: Double?
    package let bytesDown: Double?
    /// The peak resident memory of the process, measured once per stage.
    package let memoryBytes: Int?
  }

  package init(
    name: String, command: String, plan: String, clients: Int, data: String, testData: String,
    partition: String, seeds: [UInt64], rows: [Row]
  ) {
    (self.name, self.command, self.plan, self.clients) = (name, command, plan, clients)
    (self.data, self.testData, self.partition, self.seeds) = (data, testData, partition, seeds)
    self.rows = rows.map { row in
      let base = rows.first { $0.variant == ComparisonVariant(.endToEnd, row.variant.objective) }
      var row = row
      for (figure, spread) in row.figures where !figure.isReference {
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
  /// Creates a variant's row from its runs. `plan` is that of any of its seeds.
  package init(
    _ variant: ComparisonVariant, plan: Plan, runs: [Summary], memory: [StageMemory.Result],
    failures: [ComparisonReport.Failure]
  ) {
    let costs = runs.map { RoundCost.all(of: plan, samples: $0.samples) }
    var values: [Figure: [Double]] = [:]
    values[.memory] = memory.map { Double($0.peakMemoryBytes) }.max().map { [$0] } ?? []
    for (run, costs) in zip(runs, costs) {
      values[.operations, default: []].append(run.operations(costs))
      // The centralised variant has no federation, so its loopback traffic has no meaning.
      if variant.training != .centralised {
        values[.bytesUp, default: []].append(run.bytesUp)
        values[.bytesDown, default: []].append(run.bytesDown)
      }
      values[.seconds, default: []].append(run.roundSeconds)
      let (trained, last) = (run.evaluation?.trained, run.exits?.exits.last?.report)
      for (figure, value) in [
        (Figure.linearProbe, run.linearProbe), (.untrainedProbe, run.untrainedProbe),
        (.nearestNeighbours, trained?.nearestNeighbours), (.fineTuned, trained?.fineTuned),
        (.logisticRegression, trained?.logisticRegression), (.smoothness, trained?.smoothness),
        (.untrainedRegression, run.evaluation?.untrained.logisticRegression),
        (.accuracy, last?.accuracy), (.majorityBaseline, last?.majorityBaseline),
        (.balancedAccuracy, last?.balancedAccuracy), (.macroF1, last?.macroF1), (.auroc, last?.auroc),
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
    analysis = AnalysisReport(meanOf: runs.compactMap(\.analysis))
    lastExit = Self.sum(runs.compactMap { $0.exits?.exits.last?.report })
  }

  /// Returns the counts of several runs with the same classes together; nil without one.
  private static func sum(_ reports: [ClassificationReport]) -> ClassificationReport? {
    guard let first = reports.first else { return nil }
    guard reports.count > 1 else { return first }
    var counts: [[Int]: Int] = [:]
    for cell in reports.flatMap(\.cells) { counts[[cell.label, cell.predicted], default: 0] += cell.count }
    return ClassificationReport(
      cells: counts.map { .init(label: $0[0], predicted: $0[1], count: $1) }, classes: first.classCount,
      classNames: first.classNames)
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
      return RoundProbe(
        stage: probe.stage, round: probe.round, linearProbe: mean,
        accuracy: Spread(same.compactMap(\.accuracy))?.mean,
        majorityBaseline: Spread(same.compactMap(\.majorityBaseline))?.mean)
    }
  }
}
