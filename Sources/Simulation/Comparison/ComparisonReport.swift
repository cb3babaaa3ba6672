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
  /// What the rows are compared with.
  package let against: ComparisonReference
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
    /// The figures by seed, in the order of the comparison's seeds, nil for a seed without one. Figures that are measured
    /// once for all seeds have one value.
    package let values: [Figure: [Double?]]
    package let figures: [Figure: Spread]
    /// The label of the row that this one is compared with; nil for none.
    package internal(set) var against: String?
    /// The figures compared with those of that row.
    package internal(set) var comparisons: [Figure: PairedComparison] = [:]
    package let memoryByStage: [StageMemory.Result]
    /// The means over the seeds.
    package let rounds: [Round]
    package let probes: [RoundProbe]
    /// The same of each finished run.
    package let curves: [Curve]
    /// The last exit of a classification on the test images, counted over the runs; nil for other objectives.
    package let lastExit: ClassificationReport?
    /// The analyses of layers, means over the seeds; nil without one. The representations are those of the first seed.
    package let analysis: AnalysisReport?
    package let failures: [Failure]
  }

  /// The losses and probes of one run.
  package struct Curve: Sendable, Hashable, Codable {
    package let seed: UInt64
    /// The losses by round.
    package let losses: [Double]
    package let probes: [RoundProbe]
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
    partition: String, seeds: [UInt64], against: ComparisonReference = .endToEnd, rows: [Row]
  ) {
    (self.name, self.command, self.plan, self.clients) = (name, command, plan, clients)
    (self.data, self.testData, self.partition, self.seeds) = (data, testData, partition, seeds)
    self.against = against
    let variants = rows.map(\.variant)
    self.rows = rows.map { row in
      guard let index = against.counterpart(of: row.variant, in: variants) else { return row }
      var row = row
      row.against = rows[index].variant.label
      for (figure, values) in row.values where !figure.isReference {
        guard let others = rows[index].values[figure] else { continue }
        row.comparisons[figure] = PairedComparison(values, to: others)
      }
      return row
    }
  }

  package var failures: [Failure] { rows.flatMap(\.failures) }

  /// Writes compare.json, compare.txt, compare.csv and compare.html.
  package func write(to folder: URL) throws {
    func write(_ text: String, _ name: String) throws {
      try Data(text.utf8).write(to: folder.appendingPathComponent(name), options: .atomic)
    }
    try write(try json(), "compare.json")
    try write(ComparisonTable.text(of: self), "compare.txt")
    try write(csv, "compare.csv")
    try write(ComparisonPage(self).html, "compare.html")
  }

  /// A line for each figure of each run (docs/python.md).
  package var csv: String {
    let names = rows.flatMap { $0.variant.settings.map(\.name) }.reduce(into: [String]()) {
      if !$0.contains($1) { $0.append($1) }
    }
    var table = CSV(["strategy", "objective"] + names + ["seed", "figure", "value"])
    for row in rows {
      let settings = names.map { row.variant.value(of: $0) }
      for figure in Figure.allCases {
        for (seed, value) in zip(seeds, row.values[figure] ?? []) {
          guard let value else { continue }
          table.append(
            [row.variant.training.rawValue, row.variant.objective.rawValue] + settings
              + ["\(seed)", figure.rawValue, "\(value)"])
        }
      }
    }
    return table.text
  }

  package func json() throws -> String {
    String(decoding: try JSON.shown(self), as: UTF8.self) + "\n"
  }
}

extension ComparisonReport.Row {
  /// Creates a variant's row from its runs by seed, nil for one that has not finished. `plan` is that of any of its
  /// seeds.
  package init(
    _ variant: ComparisonVariant, plan: Plan, runs bySeed: [Summary?], memory: [StageMemory.Result],
    failures: [ComparisonReport.Failure]
  ) {
    let runs = bySeed.compactMap(\.self)
    let costs = runs.map { RoundCost.all(of: plan, samples: $0.samples) }
    var values: [Figure: [Double?]] = [:]
    values[.memory] = memory.map { Double($0.peakMemoryBytes) }.max().map { [$0] }
    var rest = costs[...]
    for (index, run) in bySeed.enumerated() {
      guard let run, let costs = rest.popFirst() else { continue }
      for (figure, value) in Self.figures(of: run, costs, variant) {
        values[figure, default: Array(repeating: nil, count: bySeed.count)][index] = value
      }
    }
    self.values = values
    (self.variant, finished, self.failures) = (variant, runs.count, failures)
    figures = values.compactMapValues { Spread($0.compactMap(\.self)) }
    collapsed = runs.count { $0.collapsed }
    diverged = failures.count { $0.code == ComparisonReport.Failure.divergence }
    memoryByStage = memory
    rounds = Self.rounds(runs, costs, memory, travels: variant.training != .centralised)
    probes = Self.probes(runs)
    curves = runs.map {
      ComparisonReport.Curve(seed: $0.seed, losses: $0.rounds.map(\.loss), probes: $0.probes ?? [])
    }
    analysis = AnalysisReport(meanOf: runs.compactMap(\.analysis))
    lastExit = Self.sum(runs.compactMap { $0.exits?.exits.last?.report })
  }

  /// Returns the figures that a run has.
  private static func figures(
    of run: Summary, _ costs: [RoundCost], _ variant: ComparisonVariant
  ) -> [(Figure, Double)] {
    // The centralised variant has no federation, so its loopback traffic has no meaning.
    let isFederated = variant.training != .centralised
    let figures: [(Figure, Double?)] =
      [
        (.operations, run.operations(costs)), (.bytesUp, isFederated ? run.bytesUp : nil),
        (.bytesDown, isFederated ? run.bytesDown : nil),
      ] + run.figures
    return figures.compactMap { figure, value in value.map { (figure, $0) } }
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
