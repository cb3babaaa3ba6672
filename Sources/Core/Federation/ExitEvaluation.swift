import Datasets
import Engine
import Foundation

/// The answers of every exit of a classifier to labelled images.
package struct ExitEvaluation: Sendable {
  /// The images, with labels that are indices into the job's classes.
  private let images: ImageSet
  private let labels: [Int]
  private let threads: Int

  /// Reads all images and omits those that cannot be read. Throws a ``DatasetError`` if the images do not have the
  /// classes of the plan or none can be read. The images must have the encoder's size.
  package init(_ plan: Plan, _ test: ImageSet, threads: Int) throws(DatasetError) {
    images = try plan.labelled(test).readable(Workers(threads))
    guard let labels = images.labels, !labels.isEmpty else {
      guard images.count == 0 else { throw .unlabelled(for: "an evaluation", problem: images.labelProblem) }
      throw .broken(images.broken)
    }
    (self.labels, self.threads) = (labels, threads)
  }

  /// The result of an exit.
  package struct Exit: Sendable, Hashable, Codable {
    /// The number of blocks before the exit.
    package let depth: Int
    package let report: ClassificationReport
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
  }

  /// Classifies all images at each exit of a snapshot of a classification, also at those that wait, without augmentation and with running
  /// statistics. `rule` decides which images leave early.
  package func result(
    of snapshot: Snapshot, _ augmentation: AugmentationSettings, leaving rule: ExitRule
  ) -> Result {
    let snapshot = snapshot.complete
    let model = snapshot.stage.model
    let parameters = Storage(model.layout)
    snapshot.write(into: parameters)
    let augmenter = Augmenter(
      .withLabels(mean: augmentation.mean, deviation: augmentation.deviation), for: model.configuration)
    let answers = EarlyExits.answers(
      model, parameters, images: images.count, workers: Workers(threads)
    ) { augmenter.plain(images, index: $0, into: $1) }
    let depths = EarlyExits.depths(of: model)
    return Result(
      exits: zip(depths, answers).map { depth, answers in
        Exit(
          depth: depth,
          report: ClassificationReport(
            labels: labels, predictions: answers.map(\.label), classes: images.classes,
            // Of two classes, the probability of class 1.
            scores: answers.map { $0.label == 1 ? $0.confidence : 1 - $0.confidence },
            classNames: images.classNames))
      }, early: depths.count > 1 ? early(answers, rule, ExitCosts(model)) : nil)
  }

  /// Returns the result with early exits from the predictions of each exit.
  private func early(
    _ answers: [[EarlyExits.Prediction]], _ rule: ExitRule, _ costs: ExitCosts
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
}
