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
    let (x, y) = (
      try NodeRepresentations(train, by: checkpoint, workers),
      try NodeRepresentations(test, by: checkpoint, workers)
    )
    return NodeComparison(self, x, y, train, test, image).accuracies(workers)
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
