import Engine
import Foundation
import Pages

/// The charts of a run by round: what it learns, whether it collapses, and what it takes.
struct RoundPlots {
  let overview: Overview

  /// With points this few a mark at each can be told from its neighbours.
  private static let mostMarks = 60

  private var all: [(plot: Plot, caption: String)] {
    [
      (
        plot(
          "Loss", .plain,
          [
            ("clients", { $0.loss }),
            ("calibration", { $0.calibrationLoss }),
          ]), lossCaption
      ),
      (
        plot("Linear probe", .share, [("encoder", { $0.probe })]),
        "Test images whose class a linear classifier on the encoder predicts."
      ),
      (monitor("Alignment", \.alignment), "Distance of two views of an image: small where they agree."),
      (
        monitor("Uniformity", \.uniformity),
        "0 where all images are one point; the lower, the more they spread."
      ),
      (monitor("Deviation", \.deviation), "0 where all representations are the same, 1 where they spread."),
      (monitor("Effective rank", \.effectiveRank), "In how many directions representations differ."),
      (
        plot(
          "Duration", .seconds, [("round", { $0.seconds }), ("wait", { $0.waited })], startsAtZero: true),
        "What a round took, and what it waited for clients before."
      ),
    ].filter { !$0.0.series.isEmpty }
  }

  /// Calibration has a line where the plan wants any.
  private var lossCaption: String {
    let clients = "of the clients, weighted by their images"
    return overview.rounds.contains { $0.calibrationLoss != nil }
      ? "Means: \(clients), and of the calibration on the server's own." : "Mean \(clients)."
  }

  /// A figure for each, one after another.
  var figures: String {
    guard !overview.rounds.isEmpty else { return "<p class=\"muted\">\(Self.none(overview))</p>" }
    return all.map { plot, caption in
      "<figure>\n\(plot.svg)\n<figcaption>\(Markup.escape(caption))</figcaption>\n</figure>"
    }.joined(separator: "\n")
  }

  /// What is said where there is no round.
  static func none(_ overview: Overview) -> String {
    overview.isOver ? "No round was committed." : "No round is committed yet."
  }

  private func monitor(_ title: String, _ value: KeyPath<CollapseMonitors, Float>) -> Plot {
    plot(title, .plain, [("clients", { round in (round.monitors?[keyPath: value]).map(Double.init) })])
  }

  private func plot(
    _ title: String, _ unit: FigureUnit, _ lines: [(String, (Overview.Round) -> Double?)],
    startsAtZero: Bool = false
  ) -> Plot {
    let series = lines.enumerated().map { style, line in
      Plot.Series(
        line.0, style: style,
        points: overview.rounds.compactMap { round in line.1(round).map { (Double(round.number), $0) } })
    }
    // The stages so far: with those to come the points would crowd at the left.
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
    return plot
  }
}

/// The rounds that were committed, and the attempts that came to nothing, the last first.
struct RoundTables {
  let overview: Overview

  /// At most `count` of them.
  func committed(_ count: Int, live: String? = nil) -> String {
    let columns = [
      "loss", "calibration", "alignment", "uniformity", "deviation", "rank", "probe", "clients", "images",
      "wait", "time",
    ]
    let table = OverviewTable(
      columns: columns.map { .init(heading: $0) }, first: "stage, round",
      rows: overview.rounds.suffix(count).reversed().map { round in
        (
          "\(round.stage), \(round.round)",
          [
            Wording.number(round.loss), Wording.number(round.calibrationLoss),
            Wording.number(round.monitors?.alignment, digits: 3),
            Wording.number(round.monitors?.uniformity, digits: 3),
            Wording.number(round.monitors?.deviation, digits: 3),
            Wording.number(round.monitors?.effectiveRank, digits: 1), Wording.share(round.probe),
            "\(round.clients)", "\(round.samples)", Wording.seconds(round.waited),
            Wording.seconds(round.seconds),
          ]
        )
      }, none: RoundPlots.none(overview))
    return table.html("Rounds", live: live)
  }

  /// At most `count` of them, with their reasons.
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
    return table.html("Attempts that were given up", live: live)
  }
}
