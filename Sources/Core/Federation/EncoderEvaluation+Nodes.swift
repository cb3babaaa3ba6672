import Datasets
import Engine

extension EncoderEvaluation {
  /// The accuracies on features without an encoder. ``Accuracies/logisticRegression`` is that on standardised features.
  package struct FeatureAccuracies: Sendable, Hashable {
    package let accuracies: Accuracies
    /// The accuracy of ``LogisticRegression`` on the features as they are, 0 … 1. Sparse features lose by
    /// standardisation, so a comparison with an encoder needs both.
    package let unstandardised: Double
  }

  /// Evaluates an encoder of nodes. The training and the test nodes can be of different graphs, such as a subgraph for
  /// training and the whole graph; the validation nodes are those of the latter.
  func accuracies(
    of checkpoint: EncoderCheckpoint, _ train: NodeSet, _ test: NodeSet, image: @Sendable () -> Void
  ) throws(NotFinite) -> Accuracies {
    let workers = Workers(threads)
    let comparison = NodeComparison(
      self, NodeRepresentations(train, by: checkpoint, workers),
      NodeRepresentations(test, by: checkpoint, workers), train, test, image)
    guard comparison.isFinite else { throw NotFinite() }
    return comparison.accuracies(workers)
  }

  /// Evaluates the features of the nodes of graphs, after `hops` propagations over their graph: what an encoder has to
  /// exceed. The examples must be nodes.
  package func accuraciesOfFeatures(
    hops: Int, _ propagation: Propagation, node: @Sendable () -> Void = {}
  ) -> FeatureAccuracies {
    guard case .nodes(let train) = train, case .nodes(let test) = test else {
      preconditionFailure("features of \(train.noun)s")
    }
    let workers = Workers(threads)
    let comparison = NodeComparison(
      self, NodeRepresentations(featuresOf: train, hops: hops, propagation, workers),
      NodeRepresentations(featuresOf: test, hops: hops, propagation, workers), train, test, node)
    return FeatureAccuracies(
      accuracies: comparison.accuracies(workers),
      unstandardised: comparison.regression(standardises: false, workers))
  }
}

/// The rows of the training, validation and test nodes.
private struct NodeComparison: ~Copyable {
  private let evaluation: EncoderEvaluation
  private let outputs: NodeRepresentations
  private let train, validation, test: Storage
  private let validationLabels: [Int]

  init(
    _ evaluation: EncoderEvaluation, _ x: NodeRepresentations, _ outputs: NodeRepresentations,
    _ train: NodeSet, _ test: NodeSet, _ each: @Sendable () -> Void
  ) {
    (self.evaluation, self.outputs) = (evaluation, outputs)
    self.train = x.rows(train.split.train, each)
    self.test = outputs.rows(test.split.test, each)
    validation = outputs.rows(test.split.validation)
    validationLabels = EncoderEvaluation.labels(of: .nodes(test), \.validation)
  }

  var isFinite: Bool {
    Elementwise.largestMagnitude(outputs.matrix).isFinite && Elementwise.largestMagnitude(train.all).isFinite
  }

  func accuracies(_ workers: Workers) -> EncoderEvaluation.Accuracies {
    EncoderEvaluation.Accuracies(
      linearProbe: evaluation.probe(rows(train), rows(test)),
      nearestNeighbours: evaluation.neighbours(rows(train), rows(test), workers), fineTuned: nil,
      logisticRegression: regression(standardises: true, workers),
      smoothness: Smoothness.distance(outputs.matrix, workers))
  }

  func regression(standardises: Bool, _ workers: Workers) -> Double {
    var regression = LogisticRegression()
    regression.standardises = standardises
    return regression.evaluate(
      train: LogisticRegression.Examples(rows(train), labels: evaluation.trainLabels),
      validation: LogisticRegression.Examples(rows(validation), labels: validationLabels),
      test: LogisticRegression.Examples(rows(test), labels: evaluation.testLabels),
      classes: evaluation.classes, seed: evaluation.seed, workers: workers
    ).test
  }

  private func rows(_ storage: borrowing Storage) -> Matrix {
    let width = outputs.matrix.columns
    return storage.all.reshaped(storage.all.count / width, width)
  }
}

/// Rows for all nodes of a graph: the outputs of an encoder, or features.
struct NodeRepresentations {
  private let rows: StorageBox
  /// [N, D]
  let matrix: Matrix

  private init(count: Int, width: Int) {
    rows = StorageBox(0..<count * width)
    matrix = rows.storage.all.reshaped(count, width)
  }

  init(_ set: NodeSet, by checkpoint: EncoderCheckpoint, _ workers: Workers) {
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
