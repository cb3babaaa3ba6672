/// The figures of an analysis of layers: information planes, curves by round and matrices of pairs of layers, of one
/// training or of several side by side with the same axes.
package struct LayerFigures: Sendable {
  /// The analysed rounds of a training.
  package struct Training: Sendable {
    /// The name, such as `layer-wise, simclr`; empty for a single training.
    package let name: String
    package let rounds: [Round]
    /// The last matrix of pairs of layers, with the names of its rows; nil without one.
    package let matrix: (names: [String], values: [[Double?]])?

    package init(_ name: String, rounds: [Round], matrix: (names: [String], values: [[Double?]])?) {
      (self.name, self.rounds, self.matrix) = (name, rounds, matrix)
    }
  }

  /// The values of a round by layer and metric.
  package struct Round: Sendable {
    /// The number, counted over all stages from 1.
    package let number: Int
    package let layers: [String: [String: Double]]

    package init(_ number: Int, layers: [String: [String: Double]]) {
      (self.number, self.layers) = (number, layers)
    }
  }

  /// A plane: the title, and the names and titles of the metrics on its axes.
  package struct Plane: Sendable {
    package let title: String
    package let x, y: (name: String, title: String)

    package init(_ title: String, x: (name: String, title: String), y: (name: String, title: String)) {
      (self.title, self.x, self.y) = (title, x, y)
    }
  }

  /// What a reader of the figures has to know.
  package static let note =
    "A path is a layer over the analysed rounds, from the open circle to the filled one. The numbers measure dependence "
    + "on these samples; they are not Shannon's information, and compare only with those of the same samples."

  private let trainings: [Training]
  private let planes: [Plane]
  private let matrixTitle: String

  /// - Parameter matrixTitle: what the elements of the matrices are.
  package init(_ trainings: [Training], planes: [Plane], matrixTitle: String) {
    (self.trainings, self.planes, self.matrixTitle) = (trainings, planes, matrixTitle)
  }

  /// The planes of all trainings, as figures; a plane without points is omitted.
  package var planeFigures: [String] {
    planes.flatMap { plane in
      let values = trainings.flatMap { points($0, plane).flatMap(\.points) }
      return trainings.compactMap { training -> String? in
        let paths = points(training, plane)
        guard paths.contains(where: { !$0.points.isEmpty }) else { return nil }
        var plot = PlanePlot(
          titled(plane.title, training), horizontal: plane.x.title, vertical: plane.y.title, paths: paths)
        (plot.coveredX, plot.coveredY) = (values.map(\.x), values.map(\.y))
        return Self.figure(plot.svg)
      }
    }
  }

  /// The values of each layer by round, a figure for each metric and training.
  package var curveFigures: [String] {
    planes.flatMap { [$0.x, $0.y] }.flatMap { metric in
      let all = trainings.flatMap { $0.rounds.flatMap { $0.layers.values.compactMap { $0[metric.name] } } }
      return trainings.compactMap { training -> String? in
        let series = Self.layers(of: training).enumerated().map { style, layer in
          Plot.Series(
            Self.title(layer), style: style,
            points: training.rounds.compactMap { round in
              round.layers[layer]?[metric.name].map { (Double(round.number), $0) }
            })
        }
        guard series.contains(where: { !$0.points.isEmpty }) else { return nil }
        var plot = Plot(
          titled(metric.title, training), unit: .plain, line: .marked, startsAtZero: false,
          rounds: trainings.flatMap(\.rounds).map(\.number).max() ?? 1, stageEnds: [],
          series: series.filter { !$0.points.isEmpty })
        plot.covered = all
        return Self.figure(plot.svg)
      }
    }
  }

  /// The last matrix of each training, with the same shades.
  package var matrixFigures: [String] {
    let largest = trainings.flatMap { $0.matrix?.values.joined().compactMap(\.self) ?? [] }.max()
    return trainings.compactMap { training in
      training.matrix.map {
        HeatMap(
          $0.values, names: $0.names.map(Self.title), title: titled(matrixTitle, training), largest: largest
        ).html
      }
    }
  }

  /// Returns the displayed name of a layer, counted from 1: `blocks.0` is layer 1.
  package static func title(_ layer: String) -> String {
    guard layer.hasPrefix("blocks."), let index = Int(layer.dropFirst("blocks.".count)), index < Int.max
    else {
      return layer
    }
    return "layer \(index + 1)"
  }

  private func titled(_ title: String, _ training: Training) -> String {
    training.name.isEmpty ? title : "\(title): \(training.name)"
  }

  private static func figure(_ svg: String) -> String { "<figure>\n\(svg)\n</figure>" }

  /// Returns the single layers of a training, in order.
  private static func layers(of training: Training) -> [String] {
    Set(training.rounds.flatMap(\.layers.keys)).filter { $0.hasPrefix("blocks.") }
      .sorted { ($0.count, $0) < ($1.count, $1) }
  }

  private func points(_ training: Training, _ plane: Plane) -> [PlanePlot.Path] {
    Self.layers(of: training).enumerated().map { style, layer in
      PlanePlot.Path(
        Self.title(layer), mark: String(Self.title(layer).split(separator: " ").last ?? ""), style: style,
        points: training.rounds.compactMap { round in
          guard let values = round.layers[layer], let x = values[plane.x.name], let y = values[plane.y.name]
          else { return nil }
          return (x, y, "round \(round.number)")
        })
    }
  }
}
