import Engine

/// The images that a cascade has left for its stages, and what the training cost, in multiply-accumulates of the forward
/// pass with a backward pass of twice its cost (QuickNets, arXiv 2212.12866).
package struct CascadeAccount: Sendable, Hashable, Codable {
  package struct Stage: Sendable, Hashable, Codable {
    /// The stage, counted from 1.
    package let stage: Int
    /// The number of its committed rounds.
    package let rounds: Int
    /// The images that remained, by client, as last reported.
    package let images: [String: Int]
    /// The images that trained in its committed rounds, each counted once a round.
    package let trained: Int

    package init(stage: Int, rounds: Int, images: [String: Int], trained: Int) {
      (self.stage, self.rounds, self.images, self.trained) = (stage, rounds, images, trained)
    }

    /// The images that remained at all clients.
    package var remaining: Int { images.values.reduce(0, +) }
  }

  package let stages: [Stage]
  /// The cost of the training and of the selection of the images before each stage.
  package let training: Double
  /// The cost of end-to-end training of the same encoder on all images, in as many epochs as all stages together.
  package let endToEnd: Double
  /// The number of epochs after which end-to-end training costs as much.
  package let equalEpochs: Double

  /// Creates the account of a job; nil for a plan without a cascade, or before the first committed round.
  package init?(_ plan: Plan, _ stages: [Stage]) {
    let committed = stages.filter { $0.rounds > 0 }
    guard plan.method.cascade != nil, let last = committed.last, let first = stages.first,
      first.remaining > 0,
      committed.map(\.stage) == Array(1...last.stage), last.stage <= plan.stages
    else { return nil }
    let costs = ExitCosts(plan.stage(last.stage).model)
    let epochs = plan.local.epochs
    self.stages = stages
    training = costs.training(
      passes: committed.map { $0.trained * epochs }, selecting: committed.map(\.remaining))
    let passes = committed.reduce(0) { $0 + $1.rounds } * epochs
    endToEnd = costs.endToEnd(passes: first.remaining * passes)
    equalEpochs = training / costs.endToEnd(passes: first.remaining)
  }
}
