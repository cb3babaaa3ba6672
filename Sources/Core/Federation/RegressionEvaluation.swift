import Datasets
import Engine

/// The errors of a deep linear network on rows, in float64, beside those of least squares.
package struct RegressionEvaluation: Sendable, Hashable, Codable {
  /// The errors of a linear map.
  package struct Errors: Sendable, Hashable, Codable {
    /// The mean over the rows of ½ ‖f(x) - y‖².
    package let train: Double
    /// The same for the test rows; nil without.
    package let test: Double?
    /// The coefficient of determination R² on the test rows, over all targets; nil without test rows, or if their
    /// targets are constant.
    package let determination: Double?
  }

  package let trained, untrained: Errors
  /// Nil if the inputs are linearly dependent.
  package let leastSquares: Errors?

  /// Evaluates the models before and after a training. All rows have the inputs and targets of the models.
  package init(
    trained: Snapshot, untrained: Snapshot, _ train: FeatureRows, _ test: FeatureRows?, threads: Int
  ) {
    let workers = Workers(threads)
    let own = RowStatistics(train, workers: workers)
    let others = test.map { RowStatistics($0, workers: workers) }
    let variance = test.map(Self.variance)
    func errors(_ map: [Double]) -> Errors {
      let test = others.map { Self.loss(map, $0) }
      let determination = variance.flatMap { variance in
        test.flatMap { variance > 0 ? 1 - 2 * $0 / variance : nil }
      }
      return Errors(train: Self.loss(map, own), test: test, determination: determination)
    }
    (self.trained, self.untrained) = (errors(Self.map(trained)), errors(Self.map(untrained)))
    leastSquares = own.leastSquares().map(errors)
  }

  private static func map(_ snapshot: Snapshot) -> [Double] {
    guard let encoder = snapshot.stage.model.encoder as? DeepLinearEncoder else {
      preconditionFailure("a regression of \(type(of: snapshot.stage.model.encoder))")
    }
    let parameters = Storage(snapshot.stage.model.layout)
    snapshot.write(into: parameters)
    let map = encoder.network(parameters).map()
    return map.matrix.array()
  }

  private static func loss(_ map: [Double], _ rows: RowStatistics) -> Double {
    let box = DoubleBox(rows.targets, rows.inputs)
    let gradient = DoubleBox(rows.targets, rows.inputs)
    box.matrix.set(map)
    return rows.residuals(of: box.matrix, into: gradient.matrix) / Double(rows.count)
  }

  /// Returns the mean squared distance of the targets from their mean.
  private static func variance(_ rows: FeatureRows) -> Double {
    var mean = [Double](repeating: 0, count: rows.targetCount)
    for row in 0..<rows.count {
      for (target, value) in rows.targets(of: row).enumerated() { mean[target] += value / Double(rows.count) }
    }
    return (0..<rows.count).reduce(0) { sum, row in
      zip(rows.targets(of: row), mean).reduce(sum) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    } / Double(rows.count)
  }
}
