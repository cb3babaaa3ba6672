import Datasets
import Engine

/// The classification of all nodes of a graph by the exits in a file.
package struct NodeClassifier {
  package let exits: EncoderCheckpoint.Exits
  /// The multiply-accumulates of a node; sums over neighbours are no matrix products.
  package let costs: ExitCosts
  private let model: Model
  private let parameters: StorageBox
  private let workers: Workers

  /// Creates a classifier with the exits of a file.
  package init(_ checkpoint: EncoderCheckpoint, _ exits: EncoderCheckpoint.Exits, _ workers: Workers) {
    let model = exits.model(of: checkpoint.configuration)
    (self.exits, self.model, self.workers) = (exits, model, workers)
    costs = ExitCosts(model, lastBlock: .readout)
    parameters = StorageBox(model.layout.range)
    checkpoint.write(model.layout.entries, into: parameters.storage)
  }

  /// Returns the predictions for all nodes in order. Every layer is computed for every node, because a node that would
  /// leave early has neighbours that need it.
  ///
  /// Throws ``EncoderEvaluation/NotFinite``.
  ///
  /// - Parameter threshold: the confidence of the first exit that answers; without one the last exit answers.
  package func predictions(
    for set: NodeSet, confidence threshold: Float?
  ) throws(EncoderEvaluation.NotFinite) -> [EarlyExits.Prediction] {
    let answers = EarlyExits.answers(
      model, parameters.storage, features: set.features, on: set.graph, nodes: Array(0..<set.count),
      workers: workers)
    guard answers.allSatisfy({ $0.allSatisfy(\.confidence.isFinite) }) else {
      throw EncoderEvaluation.NotFinite()
    }
    let rule = threshold.map(exits.rule)
    return (0..<set.count).map { node in
      let exit = rule.flatMap { rule in answers.firstIndex { rule.isMet(by: $0[node]) } }
      return answers[exit ?? answers.count - 1][node]
    }
  }
}

/// Rows for all nodes of a graph: the outputs of an encoder, or features.
package struct NodeRepresentations {
  private let rows: StorageBox
  /// [N, D]
  package let matrix: Matrix

  private init(count: Int, width: Int) {
    rows = StorageBox(0..<count * width)
    matrix = rows.storage.all.reshaped(count, width)
  }

  /// The outputs of an encoder. Throws ``EncoderEvaluation/NotFinite``.
  package init(
    _ set: NodeSet, by checkpoint: EncoderCheckpoint, _ workers: Workers
  ) throws(EncoderEvaluation.NotFinite) {
    var layout = Layout()
    let configuration = checkpoint.configuration
    let encoder = configuration.makeEncoder(blocks: Array(0..<configuration.depth), in: &layout)
    guard let encoder = encoder as? any NodeEncoder else {
      preconditionFailure("\(type(of: encoder)) of nodes")
    }
    let parameters = Storage(layout)
    checkpoint.write(into: parameters)
    self.init(count: set.count, width: encoder.output)
    encoder.forEachDepth(set.features, on: set.graph, parameters, workers) { [matrix] depth, y in
      if depth == encoder.blocks.count { Elementwise.copy(y, to: matrix) }
    }
    guard Elementwise.largestMagnitude(matrix).isFinite else { throw EncoderEvaluation.NotFinite() }
  }

  /// The features after `hops` propagations.
  init(featuresOf set: NodeSet, hops: Int, _ propagation: Propagation, _ workers: Workers) {
    self.init(count: set.count, width: set.features.width)
    set.features.write(into: matrix, workers)
    guard hops > 0 else { return }
    var layout = Layout()
    let tile = Propagation.tile(nodes: set.count, in: &layout)
    let work = Storage(layout)
    propagation.forward(matrix, on: set.graph, hops: hops, into: matrix, tile: work[tile], workers)
  }

  /// Returns the rows of some nodes, and calls `each` for every one of them.
  func rows(_ nodes: [Int], _ each: @Sendable () -> Void = {}) -> Storage {
    let rows = Storage(0..<nodes.count * matrix.columns)
    let place = rows.all.reshaped(nodes.count, matrix.columns)
    for (row, node) in nodes.enumerated() {
      place.row(row).update(from: matrix.row(node), count: matrix.columns)
      each()
    }
    return rows
  }
}
