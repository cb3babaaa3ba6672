import Engine
import Foundation

/// What clients send in a round, and what the server makes of it.
package enum UpdateContent: Sendable {
  /// The trained parts of the stage, of which the next model has a mean (``AggregationRule``).
  case parameters
  /// Sums over the clients' rows for the exact step of a block; the sums are added without weights.
  case sums(BlockSums)
}

/// The sums over rows that clients send in a round of a deep linear network, as ``FloatPairs``.
package struct BlockSums: Sendable {
  package enum Kind: Sendable, Hashable {
    /// The gradient G of the block and the second moments of its inputs. The server updates the block.
    case gradientAndMoments
    /// The gradient alone. The server keeps the sum as a part of the model.
    case gradient
    /// ‖A G B‖² along that sum. The server updates the block.
    case curvature
  }

  package let kind: Kind
  package let block: Int
  private let encoder: DeepLinearEncoder
  private let sum: RegressionObjective.GradientSum?

  /// Creates the sums of a round of a stage; nil if the stage trains parameters.
  fileprivate init?(_ stage: Stage, round: Int) {
    guard let encoder = stage.model.encoder as? DeepLinearEncoder,
      let objective = stage.model.objective as? RegressionObjective, let block = stage.trainedBlocks.first
    else { return nil }
    (self.encoder, sum, self.block) = (encoder, objective.sum, block)
    kind = sum == nil ? .gradientAndMoments : round % 2 == 1 ? .gradient : .curvature
  }

  package var shape: (rows: Int, columns: Int) { encoder.shape.matrix(block) }
  /// The number of elements of the block's matrix, and so of its gradient.
  package var gradientCount: Int { shape.rows * shape.columns }

  /// The number of float64 values that a client sends.
  package var numbers: Int {
    switch kind {
    case .gradientAndMoments: gradientCount + encoder.shape.packedMoments(block)
    case .gradient: gradientCount
    case .curvature: 1
    }
  }

  /// The number of float32 values of an update.
  package var count: Int { 2 * numbers }

  // MARK: - Clients

  /// Returns the sums over a client's rows as an update. `parameters` are those of the stage's model. `goesOn` is asked on
  /// the caller's thread; if it returns false, the result has no meaning.
  package func update(
    _ rows: RowStatistics, _ parameters: borrowing Storage, while goesOn: () -> Bool = { true }
  ) -> (values: [Float], loss: Double) {
    withoutActuallyEscaping(goesOn) { goesOn in
      rows.goesOn = goesOn
      defer { rows.goesOn = { true } }
      return update(rows, encoder.network(parameters), parameters)
    }
  }

  private func update(
    _ rows: RowStatistics, _ network: DeepLinearNetwork, _ parameters: borrowing Storage
  ) -> (values: [Float], loss: Double) {
    guard kind == .curvature else {
      let own = BlockStatistics(of: block, network, rows, moments: kind == .gradientAndMoments)
      return (FloatPairs.encode(own.gradient + (own.moments ?? [])), own.loss)
    }
    let gradient = summedGradient(parameters)
    return (
      FloatPairs.encode([network.curvature(of: block, along: gradient.box.matrix, rows)]), network.loss(rows)
    )
  }

  /// Returns a bound of the bytes that an update takes, without the rows.
  package func memory(threads: Int) -> Int {
    let shape = encoder.shape
    let weights = (0..<shape.depth).reduce(0) { $0 + shape.matrix($1).rows * shape.matrix($1).columns }
    let products = shape.widths.reduce(0) { $0 + $1 * (shape.inputs + shape.outputs) }
    let statistics = 3 * numbers + 3 * shape.widths[block] * shape.widths[block]
    // The weights as pairs and as doubles.
    return (2 * weights + products + statistics) * MemoryLayout<Double>.stride
      + RowStatistics.memory(inputs: shape.inputs, targets: shape.outputs)
  }

  // MARK: - Server

  /// Returns the model after a round.
  ///
  /// - Parameters:
  ///   - total: the sum of the clients' updates.
  ///   - rows: the number of rows of these clients (``Ledger/plausibleSamples``).
  package func next(after snapshot: Snapshot, _ total: [Double], rows: Int) -> Snapshot {
    precondition(total.count == numbers, "\(total.count) numbers instead of \(numbers)")
    let parameters = Storage(snapshot.stage.model.layout)
    snapshot.write(into: parameters)
    let part = part(of: snapshot.stage.model)
    switch kind {
    case .gradient: sum?.write(total, rows: rows, into: parameters)
    case .gradientAndMoments:
      let network = encoder.network(parameters)
      network.step(
        BlockStatistics(
          block: block, loss: 0, gradient: Array(total.prefix(gradientCount)),
          moments: Array(total.dropFirst(gradientCount))))
      encoder.write(network.weight(block), of: block, into: parameters)
    case .curvature:
      let network = encoder.network(parameters)
      let gradient = summedGradient(parameters)
      // If other clients answer than those of the gradient, their rows stand for these.
      let share = rows > 0 ? gradient.rows / Double(rows) : 0
      network.step(block, along: gradient.box.matrix, curvature: total[0] * share)
      encoder.write(network.weight(block), of: block, into: parameters)
    }
    return snapshot.replacing(parts: [part.name: parameters[part.range].bytes])
  }

  /// Returns the part of a model that a round replaces.
  fileprivate func part(of model: Model) -> Model.Part {
    let sum = kind == .gradient ? model.part(RegressionObjective.sumPart) : nil
    return sum ?? model.blockPart(block)
  }

  /// The sum of the clients' gradients in the model, and the number of their rows.
  private struct SummedGradient: ~Copyable {
    let box: DoubleBox
    let rows: Double
  }

  private func summedGradient(_ parameters: borrowing Storage) -> SummedGradient {
    let box = DoubleBox(shape.rows, shape.columns)
    guard let (gradient, rows) = sum?.read(parameters) else {
      preconditionFailure("a model without a summed gradient")
    }
    box.matrix.set(gradient)
    return SummedGradient(box: box, rows: rows)
  }
}

extension Stage {
  /// Returns what clients send in a round of the stage, which starts at 1.
  package func updateContent(round: Int) -> UpdateContent {
    BlockSums(self, round: round).map { .sums($0) } ?? .parameters
  }

  /// Returns the names of the parts that a round of sums replaces; nil if it replaces all trained parts.
  package func partsChanged(round: Int) -> Set<String>? {
    BlockSums(self, round: round).map { [$0.part(of: model).name] }
  }
}
