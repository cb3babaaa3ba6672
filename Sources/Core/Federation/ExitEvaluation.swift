import Datasets
import Engine
import Foundation

/// The answers of every exit of a classifier to labelled images, or to the test nodes of a graph, classified on all of it.
package struct ExitEvaluation: Sendable {
  /// The examples, with labels that are indices into the job's classes.
  private let examples: Dataset
  private let labels: [Int]
  private let threads: Int
  /// Decides which images leave early.
  private let rule: ExitRule

  /// Reads all images and omits those that cannot be read. Throws a ``DatasetError`` if the images do not have the
  /// classes of the plan or none can be read. The images must have the encoder's size.
  package init(_ plan: Plan, _ test: Dataset, threads: Int) throws(DatasetError) {
    examples = try plan.labelled(test).readable(Workers(threads))
    if case .nodes(let set) = examples {
      guard !set.split.test.isEmpty else { throw .noNodes(for: "an evaluation", kind: "test") }
      (labels, self.threads, rule) = (set.split.test.map { set.labels[$0] }, threads, plan.exitRule)
      return
    }
    guard let labels = examples.labels, !labels.isEmpty else {
      guard examples.count == 0 else {
        throw .unlabelled(for: "an evaluation", problem: examples.labelProblem)
      }
      throw .broken(examples.broken)
    }
    (self.labels, self.threads, rule) = (labels, threads, plan.exitRule)
  }

  /// The result of an exit.
  package struct Exit: Sendable, Hashable, Codable {
    /// The number of blocks before the exit.
    package let depth: Int
    package let report: ClassificationReport

    package init(depth: Int, report: ClassificationReport) { (self.depth, self.report) = (depth, report) }
  }

  /// The result if images leave at the first exit whose rule they meet.
  package struct EarlyExit: Sendable, Hashable, Codable {
    /// The least confidence.
    package let confidence: Float
    /// The number of images that leave at each exit.
    package let leaving: [Int]
    /// The share of images that are classified right, 0 … 1.
    package let accuracy: Double
    /// The mean multiply-accumulates of an image, and those of an image that runs to the last exit and asks only that.
    package let operations: Double
    package let fullOperations: Double
  }

  /// The results of all exits, by depth.
  package struct Result: Sendable, Hashable, Codable {
    package let exits: [Exit]
    /// The result with early exits; nil for a single exit.
    package let early: EarlyExit?

    package init(exits: [Exit], early: EarlyExit? = nil) { (self.exits, self.early) = (exits, early) }
  }

  /// Classifies all images at each exit of a snapshot of a classification, also at those that wait, without augmentation
  /// and with running statistics.
  package func result(of snapshot: Snapshot, _ augmentation: AugmentationSettings) -> Result {
    let snapshot = snapshot.complete
    let model = snapshot.stage.model
    let parameters = Storage(model.layout)
    snapshot.write(into: parameters)
    let workers = Workers(threads)
    let answers =
      switch examples {
      case .images(let images): Self.answers(model, parameters, images, augmentation, workers: workers)
      case .rows: preconditionFailure("rows have no labels")
      case .nodes(let set): Self.answers(model, parameters, set, workers: workers)
      }
    let depths = EarlyExits.depths(of: model)
    return Result(
      exits: zip(depths, answers).map { depth, answers in
        Exit(
          depth: depth,
          report: ClassificationReport(
            labels: labels, predictions: answers.map(\.label), classes: examples.classes,
            // Of two classes, the probability of class 1.
            scores: answers.map { $0.label == 1 ? $0.confidence : 1 - $0.confidence },
            classNames: examples.classNames))
      }, early: depths.count > 1 ? early(answers, ExitCosts(model)) : nil)
  }

  /// Classifies the test nodes of a graph at each exit of a model, on the whole graph. Returns the predictions of each
  /// exit, by depth, for the nodes in order.
  package static func answers(
    _ model: Model, _ parameters: borrowing Storage, _ set: NodeSet, workers: Workers
  ) -> [[EarlyExits.Prediction]] {
    EarlyExits.answers(
      model, parameters, features: set.features, on: set.graph, nodes: set.split.test, workers: workers)
  }

  /// Returns the result with early exits from the predictions of each exit.
  private func early(
    _ answers: [[EarlyExits.Prediction]], _ costs: ExitCosts
  ) -> EarlyExit {
    var (leaving, right) = ([Int](repeating: 0, count: answers.count), 0)
    for image in labels.indices {
      let exit = answers.firstIndex { rule.isMet(by: $0[image]) } ?? answers.count - 1
      leaving[exit] += 1
      if answers[exit][image].label == labels[image] { right += 1 }
    }
    return EarlyExit(
      confidence: rule.confidence, leaving: leaving, accuracy: Double(right) / Double(max(labels.count, 1)),
      operations: costs.inference(leaving: leaving), fullOperations: costs.full)
  }
  /// Classifies images at each exit of a model, `chunk` of them at a time for each worker. Returns the predictions of
  /// each exit, by depth, for the images in order.
  package static func answers(
    _ model: Model, _ parameters: borrowing Storage, _ images: ImageSet, _ augmentation: AugmentationSettings,
    workers: Workers, chunk: Int = 32
  ) -> [[EarlyExits.Prediction]] {
    let augmenter = Augmenter(
      .withLabels(mean: augmentation.mean, deviation: augmentation.deviation), for: model.configuration)
    return EarlyExits.answers(model, parameters, images: images.count, workers: workers, chunk: chunk) {
      augmenter.plain(images, index: $0, into: $1)
    }
  }
}

extension ExitEvaluation.Result {
  /// The metrics of the round: the accuracy of each exit, and all measures of the last one.
  package var metrics: RoundMetrics {
    var metrics = RoundMetrics()
    for exit in exits { metrics[.accuracy, layer: Engine.Exit.part(exit.depth)] = exit.report.accuracy }
    guard let last = exits.last?.report else { return metrics }
    metrics[.accuracy] = last.accuracy
    metrics[.majorityBaseline] = last.majorityBaseline
    metrics[.balancedAccuracy] = last.balancedAccuracy
    metrics[.macroF1] = last.macroF1
    metrics[.auroc] = last.auroc
    return metrics
  }
}
