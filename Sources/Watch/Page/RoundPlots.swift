import Engine
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
          ]), "Mean of the clients, weighted by their images."
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
      (plot("Duration", .seconds, [("round", { $0.seconds })], startsAtZero: true), "What a round took."),
    ].filter { !$0.0.series.isEmpty }
  }

  var html: String {
    guard !overview.rounds.isEmpty else { return "<p class=\"muted\">No round is committed yet.</p>" }
    let figures = all.map { plot, caption in
      "<figure>\n\(plot.svg)\n<figcaption>\(Markup.escape(caption))</figcaption>\n</figure>"
    }
    return "<div class=\"plots\">\n\(figures.joined(separator: "\n"))\n</div>"
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
    var (ends, sum) = ([Int](), 0)
    for rounds in overview.stageRounds {
      sum += rounds
      ends.append(sum)
    }
    return Plot(
      title, unit: unit, line: overview.rounds.count <= Self.mostMarks ? .marked : .straight,
      startsAtZero: startsAtZero, rounds: overview.plannedRounds, stageEnds: ends,
      series: series.filter { !$0.points.isEmpty })
  }
}
