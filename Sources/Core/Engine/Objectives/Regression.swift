/// Regression of rows' targets: ½ ‖f(X) - Y‖², which a ``DeepLinearNetwork`` minimises by exact steps of one matrix at a
/// time.
///
/// Clients send sums over their rows instead of trained parameters, so there is no step of a batch.
package struct RegressionObjective: Objective {
  package let views = 1
  package let needsLabels = false
  package let branches: [Branch] = []
  /// The place of the clients' summed gradient between two rounds, if they do not send second moments.
  package let sum: GradientSum?

  /// The sum of the clients' gradients of a block as ``FloatPairs``, and the number of rows that it is of.
  package struct GradientSum: Sendable {
    fileprivate let high, low, rows: Slot

    /// Returns the gradient in order of the rows of the matrix, and the number of rows.
    package func read(_ parameters: borrowing Storage) -> (gradient: [Double], rows: Double) {
      let (high, low, rows) = (parameters[high], parameters[low], parameters[rows])
      return (
        (0..<high.count).map { FloatPairs.join(high.start[$0], low.start[$0]) },
        FloatPairs.join(rows.start[0], rows.start[1])
      )
    }

    package func write(_ gradient: [Double], rows count: Int, into parameters: borrowing Storage) {
      let (high, low, rows) = (parameters[high], parameters[low], parameters[rows])
      precondition(gradient.count == high.count, "\(gradient.count) numbers for \(high.count)")
      for (index, value) in gradient.enumerated() {
        (high.start[index], low.start[index]) = FloatPairs.split(value)
      }
      (rows.start[0], rows.start[1]) = FloatPairs.split(Double(count))
    }
  }

  init(_ configuration: RegressionConfiguration, in layout: inout Layout) {
    sum = configuration.exchanged.map { shape in
      layout.part = Self.sumPart
      return GradientSum(
        high: layout.add("gradient", shape.rows, shape.columns),
        low: layout.add("gradient.low", shape.rows, shape.columns), rows: layout.add("gradient.rows", 2))
    }
  }

  /// The name of the part of the summed gradient.
  package static let sumPart = "gradient"

  package var sums: Set<String> { sum == nil ? [] : [Self.sumPart] }
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution { .constant(0) }
  package func operations(passes: Int) -> Int { 0 }

  package func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep { NoStep() }

  private struct NoStep: ObjectiveStep {
    func run(
      _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
    ) -> LossTerms { preconditionFailure("a regression trains by exact steps") }

    func monitors(_ work: borrowing Storage) -> CollapseMonitors? { nil }
  }
}

/// The settings of a regression.
package struct RegressionConfiguration: Sendable, Hashable {
  /// The matrix of the block that a stage trains.
  package struct Matrix: Sendable, Hashable {
    package let rows, columns: Int

    package init(rows: Int, columns: Int) { (self.rows, self.columns) = (rows, columns) }
  }

  /// The matrix whose gradient clients and server exchange; nil if clients send second moments.
  package var exchanged: Matrix?

  package init(exchanged: Matrix? = nil) { self.exchanged = exchanged }
}

extension ObjectiveKind {
  /// The squared distance of the outputs from targets.
  package static let regression = ObjectiveKind("regression") { settings in
    ObjectiveConfiguration { _, layout in RegressionObjective(settings.regression, in: &layout) }
  }

  /// Whether a stage trains by steps on batches; a regression takes exact steps on all rows.
  package var trainsOnBatches: Bool { self != .regression }
}
