import Federation
import Pages
import Server

extension Overview {
  /// The representations of test samples by the model after a round.
  package struct Picture: Sendable, Hashable, Codable {
    package var stage: Int
    package var round: Int
    package var representations: RepresentationPicture

    /// The picture in a database; nil without one, or if its round is not there.
    init?(_ recorded: RecordedJob) {
      guard let picture = recorded.picture,
        let attempt = recorded.attempts.first(where: { $0.record.id == picture.round })
      else { return nil }
      (stage, round, representations) = (attempt.stage, attempt.record.number, picture.representations)
    }
  }
}

/// What the layers of a run know, on a page: planes, curves and the last matrix of an analysis, and the picture of the
/// representations.
struct LayerSection {
  let overview: Overview

  /// A heading and the figures; empty without an analysis.
  var html: String {
    let figures = figures
    let drawn = figures.planeFigures + figures.curveFigures + [picture].compactMap(\.self)
    let matrices = figures.matrixFigures
    guard !drawn.isEmpty || !matrices.isEmpty else { return "" }
    return """
      <h2>What each layer knows</h2>
      <p class="muted">\(Markup.escape(note))</p>
      <div class="plots">
      \(drawn.joined(separator: "\n"))
      </div>
      \(matrices.joined(separator: "\n"))
      """
  }

  private var note: String {
    let samples = overview.rounds.last { $0.metrics[.analysisSamples] != nil }?.metrics[.analysisSamples]
    let on = samples.map { "On \(Numeral.fixed($0, digits: 0)) test samples. " } ?? ""
    return on + LayerFigures.note
  }

  private var figures: LayerFigures {
    let rounds = overview.rounds.filter { $0.metrics[.analysisSamples] != nil }
    let pairs = rounds.last { $0.metrics.pairs != nil }
    let place = pairs.map { " after stage \($0.stage), round \($0.round)" } ?? ""
    return LayerFigures(
      [
        LayerFigures.Training(
          "", rounds: rounds.map { LayerFigures.Round($0.number, layers: $0.metrics.layers) },
          matrix: pairs?.metrics.pairs)
      ],
      planes: Metric.planes.map { plane in
        LayerFigures.Plane(
          plane.title, x: (plane.x.name, plane.x.heading), y: (plane.y.name, plane.y.heading))
      }, matrixTitle: Metric.renyiPair.heading + place)
  }

  private var picture: String? {
    overview.picture.map { picture in
      let shown = picture.representations
      let plot = ScatterPlot(
        components: shown.points, explained: shown.explained,
        title: "Representations after stage \(picture.stage), round \(picture.round)", classes: shown.labels,
        names: shown.classNames)
      return "<figure>\n\(plot.svg)\n</figure>"
    }
  }
}
