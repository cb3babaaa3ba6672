import Foundation
import Pages

/// A comparison as one self-contained HTML page, which is also well-formed XML, so that a parser can check it.
package struct ComparisonPage: Sendable {
  private let report: ComparisonReport

  package init(_ report: ComparisonReport) { self.report = report }

  package var html: String {
    Page.html(
      title: title,
      body: """
        <main>
        <h1>\(Markup.escape(title))</h1>
        <p>\(Markup.escape(introduction))</p>
        \(results)
        \(comparisons)
        \(table("Costs", ComparisonTable.parts(of: report).costs))
        \(bySeed)
        \(failures)
        \(losses.map(plots).joined(separator: "\n"))
        \(ComparisonLayers(report.rows).html)
        \(confusions)
        \(notes)
        \(origin)
        </main>
        """)
  }

  private var title: String { "Comparison: \(report.name)" }

  private var introduction: String {
    let seeds = report.seeds.map { "\($0)" }.joined(separator: ", ")
    return "\(report.clients) clients, data \(report.data) divided as \(report.partition), tested on "
      + "\(report.testData). "
      + (report.seeds.count == 1 ? "Seed \(seeds)." : "Seeds \(seeds): mean ± standard deviation.")
  }

  // MARK: - Tables

  private func table(_ heading: String, _ table: ComparisonTable) -> String {
    let head = table.headings.map { "<th scope=\"col\">\(Markup.escape($0))</th>" }.joined()
    let lines = table.lines.map { line in
      let cells = zip(table.headings, line.cells).map { heading, cell in
        "<td\(cell == ComparisonTable.none ? " class=\"none\"" : "") data-label=\"\(Markup.escape(heading))\">\(Markup.escape(cell))</td>"
      }.joined()
      return "<tr><th scope=\"row\">\(Markup.escape(line.label))</th>\(cells)</tr>"
    }
    return """
      <h2>\(Markup.escape(heading))</h2>
      <div class="scroll cards" tabindex="0" role="region" aria-label="\(Markup.escape(heading))">
      <table>
      <thead><tr><td></td>\(head)</tr></thead>
      <tbody>
      \(lines.joined(separator: "\n"))
      </tbody>
      </table>
      </div>
      """
  }

  /// The results as a table and, of the main figures, as dots for each seed.
  private var results: String {
    let parts = ComparisonTable.parts(of: report)
    guard !parts.results.headings.isEmpty else { return "" }
    let plots = Self.main.compactMap(seedPlot).map { "<figure>\n\($0.svg)\n</figure>" }
    return table("Results", parts.results)
      + (plots.isEmpty ? "" : "\n<div class=\"plots\">\n\(plots.joined(separator: "\n"))\n</div>")
      + (plots.isEmpty
        ? "" : "\n<p class=\"caption\">\(Markup.escape(Self.legend(seeds: report.seeds.count)))</p>")
  }

  /// The figures whose values are drawn for each seed, each with the figure of an untrained model or trivial predictor.
  private static let main: [(figure: Figure, reference: Figure?)] = [
    (.linearProbe, .untrainedProbe), (.accuracy, .majorityBaseline),
    (.logisticRegression, .untrainedRegression),
  ]

  private static func legend(seeds: Int) -> String {
    seeds == 1
      ? "One seed: a difference between rows may be chance."
      : "A dot is one seed; the thick line is their mean, and the thin one its 95 % confidence interval."
  }

  private func seedPlot(_ figure: Figure, _ reference: Figure?) -> SeedPlot? {
    let groups = report.rows.compactMap { row in
      row.figures[figure].map { spread in
        SeedPlot.Group(
          row.variant.label, style: ComparisonPlots.style(of: row, in: report.rows),
          values: (row.values[figure] ?? []).compactMap(\.self), margin: spread.margin)
      }
    }
    guard !groups.isEmpty else { return nil }
    let means = reference.map { figure in report.rows.compactMap { $0.figures[figure]?.mean } } ?? []
    let mean = Spread(means).map { SeedPlot.Reference(reference?.heading ?? "", $0.mean) }
    return SeedPlot(
      figure.heading.prefix(1).uppercased() + figure.heading.dropFirst(), unit: figure.unit, groups: groups,
      references: mean.map { [$0] } ?? [], leastRange: ComparisonPlots.leastShare)
  }

  /// The results for each seed as tables, which are closed at first.
  private var bySeed: String {
    let tables = ComparisonTable.main.compactMap { figure in
      ComparisonTable.bySeed(figure, of: report).map { values in
        let title = ComparisonTable.title(bySeed: figure)
        return table(title.prefix(1).uppercased() + title.dropFirst(), values)
      }
    }
    guard !tables.isEmpty else { return "" }
    return "<details>\n<summary>Values by seed</summary>\n\(tables.joined(separator: "\n"))\n</details>"
  }

  private var comparisons: String {
    guard let comparisons = ComparisonTable.comparisons(of: report) else { return "" }
    let margins = ComparisonTable.margins(of: report)
    return table(ComparisonTable.heading(of: report), comparisons)
      + "\n<p class=\"caption\">\(Markup.escape(margins.prefix(1).uppercased() + margins.dropFirst())).</p>"
  }

  private var failures: String {
    guard !report.failures.isEmpty else { return "" }
    let items = report.failures.map { "<li>\(Markup.escape($0.description))</li>" }
    return "<h2>Failed</h2>\n<ul class=\"failed\">\n\(items.joined(separator: "\n"))\n</ul>"
  }

  /// The confusion matrices of classifications.
  private var confusions: String {
    let figures = report.rows.compactMap { row in
      row.lastExit.map { exit in
        let seeds = row.finished > 1 ? ", \(row.finished) seeds together" : ""
        return ConfusionMatrixFigure(
          exit.confusion, names: exit.classNames,
          title: "Last exit, \(row.variant.label), test samples\(seeds)"
        ).html
      }
    }
    return figures.isEmpty ? "" : "<h2>Confusion matrices</h2>\n\(figures.joined(separator: "\n"))"
  }

  private var notes: String {
    let more =
      "By round: for a client that takes part in every round; weights and products are calculated, memory is "
      + "measured once a stage. Losses are the clients' training losses, whose terms differ between methods."
    let lines = (ComparisonTable.notes + [more]).map { "<p>\(Markup.escape($0))</p>" }
    return "<section class=\"notes\">\n\(lines.joined(separator: "\n"))\n</section>"
  }

  /// The command and plan that reproduce the comparison.
  private var origin: String {
    """
    <details>
    <summary>Command and plan</summary>
    <pre>\(Markup.escape(report.command))</pre>
    <pre>\(Markup.escape(report.plan))</pre>
    </details>
    """
  }

  // MARK: - Plots

  /// The losses in the order of the table.
  private var losses: [String] {
    report.rows.reduce(into: []) { names, row in
      if names.last != row.variant.objective.rawValue { names.append(row.variant.objective.rawValue) }
    }
  }

  /// Returns the plots of one loss; not all values are comparable between losses.
  private func plots(of objective: String) -> String {
    let rows = report.rows.filter { $0.variant.objective.rawValue == objective && !$0.rounds.isEmpty }
    guard !rows.isEmpty else { return "" }
    let figures = ComparisonPlots(rows).all.map { "<figure>\n\($0.svg)\n</figure>" }
    return """
      <h2>By round: \(Markup.escape(objective))</h2>
      <div class="plots">
      \(figures.joined(separator: "\n"))
      </div>
      """
  }
}

/// The charts of the rows with one loss: results and costs (LW-FedSSL, arXiv 2401.11647, Figure 5).
struct ComparisonPlots {
  private let rows: [ComparisonReport.Row]
  private let rounds: Int
  private let stageEnds: [Int]

  /// The least range of an axis of accuracies. Ten points show a difference of one as small.
  static let leastShare = 0.1

  init(_ rows: [ComparisonReport.Row]) {
    self.rows = rows
    rounds = rows.map(\.rounds.count).max() ?? 0
    stageEnds = rows.map { Self.stageEnds(of: $0) }.max { $0.count < $1.count } ?? []
  }

  /// The charts with any data.
  var all: [Plot] {
    [
      loss,
      probes("Accuracy of the last exit", \.accuracy, beside: "majority class") {
        probes(of: $0, $0.probes, \.majorityBaseline)
      },
      probes("Linear probe", \.linearProbe, beside: "untrained") { row in
        row.figures[.untrainedProbe].map { [(1, $0.mean), (Double(max(rounds, 1)), $0.mean)] } ?? []
      },
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

  /// The rows without the baseline, whose single client does the work of all and would dwarf the others.
  private var federated: [ComparisonReport.Row] { rows.filter { $0.variant.training != .centralised } }

  private func plot(
    _ title: String, _ unit: FigureUnit, _ line: Plot.Line, startsAtZero: Bool,
    of rows: [ComparisonReport.Row],
    seeds: (ComparisonReport.Row) -> [[(x: Double, y: Double)]] = { _ in [] },
    _ points: (ComparisonReport.Row) -> [(x: Double, y: Double)]
  ) -> Plot {
    let series = rows.map { row in
      Plot.Series(
        name(of: row), style: Self.style(of: row, in: self.rows), points: points(row), seeds: seeds(row))
    }
    return Plot(
      title, unit: unit, line: line, startsAtZero: startsAtZero, rounds: rounds, stageEnds: stageEnds,
      series: series.filter { !$0.points.isEmpty })
  }

  /// The name of a row among those with its loss.
  private func name(of row: ComparisonReport.Row) -> String {
    ([row.variant.training.rawValue] + row.variant.settings.map(\.description)).joined(separator: ", ")
  }

  /// Returns the line style of a row: its strategy's, which is the same on every page, or its place among the rows with
  /// its loss if settings are varied.
  static func style(of row: ComparisonReport.Row, in rows: [ComparisonReport.Row]) -> Int {
    let those = rows.filter { $0.variant.objective == row.variant.objective }
    guard those.contains(where: { !$0.variant.settings.isEmpty }) else {
      return ComparisonVariant.Training.allCases.firstIndex(of: row.variant.training) ?? 0
    }
    return those.firstIndex { $0.variant == row.variant } ?? 0
  }

  private var loss: Plot {
    plot(
      "Loss", .plain, .straight, startsAtZero: false, of: rows,
      seeds: { row in
        row.curves.map { curve in curve.losses.enumerated().map { (Double($0 + 1), $1) } }
      },
      { row in row.rounds.enumerated().map { (Double($0 + 1), $1.loss) } })
  }

  /// Returns the plot of a probe's accuracies, with a reference that all rows have in common.
  private func probes(
    _ title: String, _ value: @escaping (RoundProbe) -> Double?, beside name: String,
    _ reference: (ComparisonReport.Row) -> [(x: Double, y: Double)]
  ) -> Plot {
    var plot = plot(
      title, .share, .marked, startsAtZero: false, of: rows,
      seeds: { row in row.curves.map { probes(of: row, $0.probes, value) } },
      { row in probes(of: row, row.probes, value) })
    plot.leastRange = Self.leastShare
    if !plot.series.isEmpty, let longest = rows.map(reference).max(by: { $0.count < $1.count }),
      !longest.isEmpty
    {
      plot.series.append(Plot.Series(name, style: Plot.Series.reference, points: longest))
    }
    return plot
  }

  private func cost(
    of row: ComparisonReport.Row, _ value: (ComparisonReport.Round) -> Double?
  ) -> [(x: Double, y: Double)] {
    row.rounds.enumerated().compactMap { index, round in value(round).map { (Double(index + 1), $0) } }
  }

  private func probes(
    of row: ComparisonReport.Row, _ probes: [RoundProbe], _ value: (RoundProbe) -> Double?
  ) -> [(x: Double, y: Double)] {
    probes.compactMap { probe in
      let index = row.rounds.firstIndex { $0.stage == probe.stage && $0.round == probe.round }
      return index.flatMap { index in value(probe).map { (Double(index + 1), $0) } }
    }
  }

  private static func stageEnds(of row: ComparisonReport.Row) -> [Int] {
    row.rounds.indices.filter { index in
      index + 1 == row.rounds.count || row.rounds[index + 1].stage != row.rounds[index].stage
    }.map { $0 + 1 }
  }
}
