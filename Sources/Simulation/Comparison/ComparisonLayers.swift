import Federation
import Pages

/// What the layers of the compared trainings know, side by side with the same axes.
struct ComparisonLayers {
  private let rows: [(row: ComparisonReport.Row, analysis: AnalysisReport)]

  init(_ rows: [ComparisonReport.Row]) {
    self.rows = rows.compactMap { row in row.analysis.map { (row, $0) } }
  }

  /// A heading and the figures; empty without an analysis.
  var html: String {
    guard !rows.isEmpty else { return "" }
    let figures = figures
    // The figures of a measure are a group, so that they are side by side.
    let groups = [figures.planeFigures, figures.curveFigures, figures.matrixFigures, pictures]
      .flatMap { $0.count % rows.count == 0 ? $0.chunked(rows.count) : [$0] }
    let all = groups.filter { !$0.isEmpty }
      .map { "<div class=\"plots\">\n\($0.joined(separator: "\n"))\n</div>" }
    guard let samples = rows.map(\.analysis.samples).max(), !all.isEmpty else { return "" }
    let seeds = rows.map(\.row.finished).max() ?? 1
    let means = seeds > 1 ? "Means of \(seeds) seeds; representations of the first. " : ""
    return """
      <h2>What each layer knows</h2>
      <p>\(Markup.escape("On \(samples) test samples. \(means)\(LayerFigures.note)"))</p>
      \(all.joined(separator: "\n"))
      """
  }

  private var figures: LayerFigures {
    let trainings = rows.map { row, analysis in
      LayerFigures.Training(
        row.variant.label,
        rounds: analysis.rounds.map { round in
          let number = row.rounds.firstIndex { ($0.stage, $0.round) == (round.stage, round.round) }
          return LayerFigures.Round((number ?? 0) + 1, layers: round.layers)
        }, matrix: analysis.rounds.last?.metrics.pairs)
    }
    return LayerFigures(
      trainings,
      planes: Metric.planes.map { plane in
        LayerFigures.Plane(
          plane.title, x: (plane.x.name, plane.x.heading), y: (plane.y.name, plane.y.heading))
      }, matrixTitle: "\(Metric.renyiPair.heading), last model")
  }

  private var pictures: [String] {
    rows.compactMap { row, analysis in
      analysis.representations.map { picture in
        let plot = ScatterPlot(
          components: picture.points, explained: picture.explained,
          title: "Representations: \(row.variant.label)", classes: picture.labels, names: picture.classNames)
        return "<figure>\n\(plot.svg)\n</figure>"
      }
    }
  }
}

extension Array {
  /// Returns parts of `count` elements in order.
  fileprivate func chunked(_ count: Int) -> [[Element]] {
    stride(from: 0, to: self.count, by: count).map { Array(self[$0..<Swift.min($0 + count, self.count)]) }
  }
}
