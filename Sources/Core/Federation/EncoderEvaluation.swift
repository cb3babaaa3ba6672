import Datasets
import Engine
import Foundation

/// The evaluation of an encoder on labelled examples by linear probe, nearest neighbours and, with images, optionally
/// fine-tuning; on a graph also by the protocol of LRGI. The result depends on examples, settings and encoder, but not
/// on the number of threads.
///
/// Classifiers are fitted to the training nodes of a graph and tested on the test nodes of another or the same one. A
/// node is represented on its whole graph.
package struct EncoderEvaluation: Sendable {
  /// The accuracies on the test examples, 0 … 1.
  package struct Accuracies: Sendable, Hashable, Codable {
    package let linearProbe: Double
    package let nearestNeighbours: Double
    /// The accuracy after fine-tuning; nil without.
    package let fineTuned: Double?
    /// The accuracy of ``LogisticRegression`` on the test nodes of a graph; nil for other examples.
    package let logisticRegression: Double?
    /// How different the representations of the nodes are (``Smoothness``); nil for other examples.
    package let smoothness: Double?
  }

  /// The error for an encoder whose outputs are not finite.
  package struct NotFinite: Error, Sendable, CustomStringConvertible {
    package var description: String { "the encoder's outputs are not finite numbers: its training diverged" }
  }

  /// The examples that classifiers are fitted to.
  package let train: Dataset
  package let test: Dataset
  /// The epochs of fine-tuning; 0 for none.
  package let fineTuningEpochs: Int
  package let seed: UInt64
  package let threads: Int

  /// Reads all images and omits those that cannot be read. Throws a ``DatasetError`` if examples have no labels or none
  /// can be read.
  package init(
    train: Dataset, test: Dataset, fineTuningEpochs: Int = 0, seed: UInt64, threads: Int
  ) throws(DatasetError) {
    try Self.requireLabels(train, test)
    let workers = Workers(threads)
    (self.train, self.test) = (train.readable(workers), test.readable(workers))
    for examples in [self.train, self.test] where examples.count == 0 { throw .broken(examples.broken) }
    (self.fineTuningEpochs, self.seed, self.threads) = (fineTuningEpochs, seed, threads)
  }

  /// Throws a ``DatasetError`` if the examples are not suitable for an evaluation, without reading them.
  package static func requireLabels(_ train: Dataset, _ test: Dataset) throws(DatasetError) {
    if let examples = [train, test].first(where: { $0.labels == nil }) {
      throw .unlabelled(for: "an evaluation", problem: examples.labelProblem)
    }
    if case .nodes(let train) = train, train.split.train.isEmpty {
      throw .noNodes(for: "an evaluation", kind: "training")
    }
    if case .nodes(let test) = test, test.split.test.isEmpty {
      throw .noNodes(for: "an evaluation", kind: "test")
    }
    try test.requireClasses(of: train)
  }

  /// The number of examples that classifiers are fitted to, and tested on.
  package var trainCount: Int { trainLabels.count }
  package var testCount: Int { testLabels.count }

  var classes: Int { max(train.classes, test.classes) }
  var trainLabels: [Int] { Self.labels(of: train, \.train) }
  var testLabels: [Int] { Self.labels(of: test, \.test) }

  static func labels(of examples: Dataset, _ part: KeyPath<NodeSet.Split, [Int]>) -> [Int] {
    guard case .nodes(let set) = examples else { return examples.labels ?? [] }
    return set.split[keyPath: part].map { set.labels[$0] }
  }

  /// Evaluates an encoder, which takes minutes on the calling thread. Calls `progress(step, of)` after every step of
  /// fine-tuning, and `image()` for every image encoded, on any thread. The images must have the encoder's size.
  ///
  /// Throws ``NotFinite``.
  package func accuracies(
    of checkpoint: EncoderCheckpoint, progress: (Int, Int) -> Void = { _, _ in },
    image: @Sendable () -> Void = {}
  ) throws(NotFinite) -> Accuracies {
    if case .nodes(let train) = train, case .nodes(let test) = test {
      return try accuracies(of: checkpoint, train, test, image: image)
    }
    let workers = Workers(threads)
    let x = try represent(train, \.train, checkpoint, workers, image)
    let y = try represent(test, \.test, checkpoint, workers, image)
    let neighbours = neighbours(matrix(x, checkpoint), matrix(y, checkpoint), workers)
    let fineTuned =
      if fineTuningEpochs > 0, case .images(let train) = train, case .images(let test) = test {
        fineTune(checkpoint, train, test, workers, progress) as Double?
      } else {
        nil as Double?
      }
    return Accuracies(
      linearProbe: probe(x, y, checkpoint), nearestNeighbours: neighbours, fineTuned: fineTuned,
      logisticRegression: nil, smoothness: nil)
  }

  /// Returns the accuracy of the linear probe. Throws ``NotFinite``.
  package func linearProbe(of checkpoint: EncoderCheckpoint) throws(NotFinite) -> Double {
    let workers = Workers(threads)
    return probe(
      try represent(train, \.train, checkpoint, workers), try represent(test, \.test, checkpoint, workers),
      checkpoint)
  }

  private func probe(
    _ trained: borrowing Storage, _ tested: borrowing Storage, _ checkpoint: EncoderCheckpoint
  ) -> Double {
    probe(matrix(trained, checkpoint), matrix(tested, checkpoint))
  }

  func probe(_ trained: Matrix, _ tested: Matrix) -> Double {
    LinearProbe(trained, labels: trainLabels, classes: classes).accuracy(tested, labels: testLabels)
  }

  /// Returns the encoder's outputs, one image per row.
  private func matrix(_ storage: borrowing Storage, _ checkpoint: EncoderCheckpoint) -> Matrix {
    let width = checkpoint.configuration.output
    return storage.all.reshaped(storage.all.count / width, width)
  }

  func neighbours(_ trained: Matrix, _ tested: Matrix, _ workers: Workers) -> Double {
    NearestNeighbours().accuracy(
      tested, labels: testLabels, among: trained, labels: trainLabels, classes: classes, workers: workers)
  }

  private func represent(
    _ examples: Dataset, _ part: KeyPath<NodeSet.Split, [Int]>, _ checkpoint: EncoderCheckpoint,
    _ workers: Workers, _ each: @Sendable () -> Void = {}
  ) throws(NotFinite) -> Storage {
    let outputs =
      switch examples {
      case .images(let images): represent(images, checkpoint, workers, each)
      case .nodes(let set):
        try NodeRepresentations(set, by: checkpoint, workers).rows(set.split[keyPath: part], each)
      case .rows: preconditionFailure("rows have no labels")
      }
    guard Elementwise.largestMagnitude(outputs.all).isFinite else { throw NotFinite() }
    return outputs
  }

  private func represent(
    _ images: ImageSet, _ checkpoint: EncoderCheckpoint, _ workers: Workers, _ each: @Sendable () -> Void
  ) -> Storage {
    var layout = Layout()
    let encoder = checkpoint.configuration.makeEncoder(
      blocks: Array(0..<checkpoint.configuration.depth), in: &layout)
    let parameters = Storage(layout)
    checkpoint.write(into: parameters)
    let augmenter = checkpoint.augmenter
    return Representations.of(images.count, by: encoder, parameters, workers: workers) {
      augmenter.plain(images, index: $0, into: $2)
      each()
    }
  }

  private func fineTune(
    _ checkpoint: EncoderCheckpoint, _ train: ImageSet, _ test: ImageSet, _ workers: Workers,
    _ progress: (Int, Int) -> Void
  ) -> Double {
    let tuning = FineTuning(
      checkpoint.configuration, classes: classes,
      FineTuning.Options(epochs: fineTuningEpochs, images: train.count), seed: seed, workers: workers)
    checkpoint.write(into: tuning.trainer.parameters)
    let augmenter = checkpoint.augmenter
    let views = AugmentedViews(train, augmenter, seed: seed, workers: threads)
    tuning.train(LabelledRows(views, labels: trainLabels), seed: seed) { step, steps, _ in
      progress(step, steps)
    }
    return tuning.accuracy(labels: testLabels) { augmenter.plain(test, index: $0, into: $2) }
  }
}

extension EncoderCheckpoint {
  /// Normalises images as the encoder was trained.
  var augmenter: Augmenter {
    Augmenter(
      .withLabels(mean: mean, deviation: deviation), for: configuration)
  }
}

extension Plan {
  /// Returns the plan's complete encoder without training.
  package func untrained() -> EncoderCheckpoint {
    let stage = stage(stages)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return EncoderCheckpoint(Snapshot(stage, parameters), augmentation)
  }
}
