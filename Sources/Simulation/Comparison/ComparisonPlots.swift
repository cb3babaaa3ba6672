import Pages

/// The charts of the rows that share a loss: what is learnt, and what it costs (LW-FedSSL, arXiv 2401.11647,
/// Figure 5).
struct ComparisonPlots {
  private let rows: [ComparisonReport.Row]
  private let rounds: Int
  private let stageEnds: [Int]

  init(_ rows: [ComparisonReport.Row]) {
    self.rows = rows
    rounds = rows.map(\.rounds.count).max() ?? 0
    stageEnds = rows.map { Self.stageEnds(of: $0) }.max { $0.count < $1.count } ?? []
  }

  /// Those that have anything to show.
  var all: [Plot] {
    [
      plot("Loss", .plain, .straight, startsAtZero: false, of: rows) { row in
        row.rounds.enumerated().map { (Double($0 + 1), $1.loss) }
      },
      plot("Linear probe", .share, .marked, startsAtZero: false, of: rows, probes),
      plot("Memory of a client", .bytes, .steps, startsAtZero: true, of: federated) { row in
        cost(of: row) { $0.memoryBytes.map(Double.init) }
      },
      plot("Traffic of a client, up and down", .bytes, .steps, startsAtZero: true, of: federated) { row in
        cost(of: row) { round in round.bytesUp.flatMap { up in round.bytesDown.map { up + $0 } } }
      },
      plot("Compute of a client", .operations, .steps, startsAtZero: true, of: federated) { row in
        cost(of: row) { $0.operations }
      },
    ].filter { !$0.series.isEmpty }
  }

  /// The baseline's single client does the work of all, and would hide what the others do.
  private var federated: [ComparisonReport.Row] { rows.filter { $0.variant.training != .centralised } }

  private func plot(
    _ title: String, _ unit: FigureUnit, _ line: Plot.Line, startsAtZero: Bool,
    of rows: [ComparisonReport.Row],
    _ points: (ComparisonReport.Row) -> [(x: Double, y: Double)]
  ) -> Plot {
    let series = rows.map { row in
      Plot.Series(row.variant.training.rawValue, style: Self.style(of: row), points: points(row))
    }
    return Plot(
      title, unit: unit, line: line, startsAtZero: startsAtZero, rounds: rounds, stageEnds: stageEnds,
      series: series.filter { !$0.points.isEmpty })
  }

  /// A strategy has the same line on every page, whatever it is compared with.
  private static func style(of row: ComparisonReport.Row) -> Int {
    ComparisonVariant.Training.allCases.firstIndex(of: row.variant.training) ?? 0
  }

  private func cost(
    of row: ComparisonReport.Row, _ value: (ComparisonReport.Round) -> Double?
  ) -> [(x: Double, y: Double)] {
    row.rounds.enumerated().compactMap { index, round in value(round).map { (Double(index + 1), $0) } }
  }

  private func probes(of row: ComparisonReport.Row) -> [(x: Double, y: Double)] {
    row.probes.compactMap { probe in
      let index = row.rounds.firstIndex { $0.stage == probe.stage && $0.round == probe.round }
      return index.map { (Double($0 + 1), probe.linearProbe) }
    }
  }

  private static func stageEnds(of row: ComparisonReport.Row) -> [Int] {
    row.rounds.indices.filter { index in
      index + 1 == row.rounds.count || row.rounds[index + 1].stage != row.rounds[index].stage
    }.map { $0 + 1 }
  }
}
