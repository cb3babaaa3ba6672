import Engine
import Federation
import Foundation
import Pages

/// The charts of a run by round: losses, collapse monitors and costs.
struct RoundPlots {
  let overview: Overview

  /// The maximum number of points at which their marks can be distinguished.
  private static let mostMarks = 60

  private var all: [(plot: Plot, caption: String)] {
    let duration = (
      plot(
        "Duration", .seconds, [Line("round") { $0.seconds }, Line("wait") { $0.waited }], startsAtZero: true),
      "Duration of each round, and its wait for clients before it began."
    )
    return (metrics + [duration]).filter { !$0.0.series.isEmpty }
  }

  /// One plot for each title: a line for each metric, and for each layer that has the metric.
  private var metrics: [(plot: Plot, caption: String)] {
    let metrics = overview.metrics
    var titles: [String] = []
    for metric in metrics where !metric.title.isEmpty && !titles.contains(metric.title) {
      titles.append(metric.title)
    }
    return titles.map { title in
      let shown = metrics.filter { $0.title == title }
      let unit: FigureUnit = shown.allSatisfy { $0.unit == .share } ? .share : .plain
      return (plot(title, unit, shown.flatMap(lines)), shown.map(\.help).joined(separator: ". ") + ".")
    }
  }

  private func lines(of metric: Metric) -> [Line] {
    func lines(_ layers: [(layer: String, name: String)]) -> [Line] {
      layers.filter { layer, _ in overview.rounds.contains { $0.metrics[metric, layer: layer] != nil } }
        .map { layer, name in Line(name) { $0.metrics[metric, layer: layer] } }
    }
    // The last exit's value is that of the whole model.
    let exits = lines(overview.layers.indices.map { (Exit.part($0), "exit \($0)") })
    guard exits.isEmpty else { return exits }
    return [Line(metric.line, isBaseline: metric.isBaseline) { $0.metrics[metric] }]
      + lines(overview.layers.map { ($0.name, $0.name) })
  }

  private struct Line {
    let name: String
    let isBaseline: Bool
    let value: (Overview.Round) -> Double?

    init(_ name: String, isBaseline: Bool = false, _ value: @escaping (Overview.Round) -> Double?) {
      (self.name, self.isBaseline, self.value) = (name, isBaseline, value)
    }
  }

  /// A figure for each chart.
  var figures: String {
    guard !overview.rounds.isEmpty else { return "<p class=\"muted\">\(Self.none(overview))</p>" }
    return all.map { plot, caption in
      "<figure>\n\(plot.svg)\n<figcaption>\(Markup.escape(caption))</figcaption>\n</figure>"
    }.joined(separator: "\n")
  }

  /// Returns the text in place of the charts when no round is committed.
  static func none(_ overview: Overview) -> String {
    overview.isOver ? "No round was committed." : "No round is committed yet."
  }

  private func plot(
    _ title: String, _ unit: FigureUnit, _ lines: [Line], startsAtZero: Bool = false
  ) -> Plot {
    let series = lines.enumerated().map { style, line in
      Plot.Series(
        line.name, style: line.isBaseline ? Plot.Series.reference : style,
        points: overview.rounds.compactMap { round in
          line.value(round).map { (Double(round.number), $0) }
        })
    }
    // Shows only the stages begun so far: with the planned ones, the points would crowd at the left.
    var (ends, sum) = ([Int](), 0)
    let stages = max(overview.status.stage, overview.rounds.last?.stage ?? 1, 1)
    for rounds in overview.stageRounds.prefix(stages) {
      sum += rounds
      ends.append(sum)
    }
    var plot = Plot(
      title, unit: unit, line: overview.rounds.count <= Self.mostMarks ? .marked : .straight,
      startsAtZero: startsAtZero, rounds: sum, stageEnds: ends,
      series: series.filter { !$0.points.isEmpty })
    plot.showsLast = true
    // Ten points show a difference of one as small, and a quarter of a value one of a hundredth.
    let greatest = plot.series.flatMap(\.points).map { abs($0.y) }.max() ?? 0
    plot.leastRange = unit == .share ? 0.1 : greatest / 4
    return plot
  }
}

/// The tables of committed rounds and abandoned attempts, the latest first.
struct RoundTables {
  let overview: Overview

  /// Returns the latest committed rounds, `count` at most.
  func committed(_ count: Int) -> String {
    let metrics = overview.metrics.filter { metric in
      overview.rounds.contains { $0.metrics[metric] != nil }
    }
    let columns = metrics.map(\.heading) + ["clients", "samples", "wait", "time"]
    let table = OverviewTable(
      columns: columns.map { .init(heading: $0) }, first: "stage, round",
      rows: overview.rounds.suffix(count).reversed().map { round in
        (
          "\(round.stage), \(round.round)",
          metrics.map { Wording.value(round.metrics[$0], of: $0) } + [
            "\(round.clients)", "\(round.samples)", Wording.seconds(round.waited),
            Wording.seconds(round.seconds),
          ]
        )
      }, none: RoundPlots.none(overview))
    return table.html("Rounds")
  }

  /// Returns the latest abandoned attempts with their reasons, `count` at most.
  func abandoned(_ count: Int, live: String? = nil) -> String {
    let table = OverviewTable(
      columns: [
        .init(heading: "attempt"), .init(heading: "reason", isText: true, style: "reason"),
        .init(heading: "when", isText: true),
      ], first: "stage, round",
      rows: overview.abandonments.suffix(count).reversed().map { attempt in
        (
          "\(attempt.stage), \(attempt.round)",
          ["\(attempt.attempt)", Markup.escape(attempt.reason), Wording.time(attempt.finishedAt)]
        )
      }, none: "None.")
    return table.html("Abandoned attempts", live: live)
  }
}
