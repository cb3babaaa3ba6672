import Engine
import Federation
import Foundation

/// The costs of a layer-wise classification and its exits for one client, in multiply-accumulates of matrix products and
/// convolutions; a backward pass counts as two forward passes (QuickNets, arXiv 2212.12866).
package struct ExitAccount: Sendable, Hashable, Codable {
  package struct Exit: Sendable, Hashable, Codable {
    /// The number of blocks before the exit.
    package let depth: Int
    /// The cost of an image that leaves here; the exits that it has passed count, too.
    package let operations: Double
    /// Its share of the cost of an image that runs to the last exit and asks only that.
    package let share: Double
  }

  package let exits: [Exit]
  /// The images that train in each stage.
  package let images: [Int]
  /// The cost of the training, and of end-to-end training on all images in as many epochs as all stages together.
  package let training: Double
  package let endToEnd: Double
  /// The number of these epochs, and the number after which end-to-end training costs as much.
  package let epochs: Int
  package let equalEpochs: Double

  /// Creates the account of a client with `images` images; nil unless the plan is a layer-wise classification of a single
  /// lap.
  ///
  /// - Parameter remaining: The shares of the images that a cascade leaves for stage 2, 3 and so on; the last one also
  ///   stands for further stages. Empty: all images.
  init?(_ plan: Plan, images: Int, remaining: [Double]) {
    guard plan.method.classification != nil, plan.method.strategy == .layerWise, plan.method.laps == 1 else {
      return nil
    }
    let costs = ExitCosts(plan.stage(plan.stages).model)
    let depths = EarlyExits.depths(of: plan.stage(plan.stages).model)
    exits = depths.indices.map { exit in
      let operations = costs.cost(stoppingAt: exit)
      return Exit(depth: depths[exit], operations: operations, share: operations / costs.full)
    }
    let shares = [1] + remaining
    let left = (0..<plan.stages).map {
      Int((Double(images) * shares[min($0, shares.count - 1)]).rounded())
    }
    let rounds = (1...plan.stages).map { plan.mostRounds(stage: $0) * plan.local.epochs }
    self.images = left
    epochs = rounds.reduce(0, +)
    training = costs.training(
      passes: zip(left, rounds).map { $0 * $1 }, selecting: plan.method.cascade == nil ? [] : left)
    endToEnd = costs.endToEnd(passes: images * epochs)
    equalEpochs = training / costs.endToEnd(passes: max(images, 1))
  }

  /// The account as lines for a terminal.
  var lines: [String] {
    let rows = exits.enumerated().map { index, exit in
      String(
        format: "exit %-4d behind %3d blocks  %10.2f M  %5.1f %%", index + 1, exit.depth,
        exit.operations / 1e6,
        100 * exit.share)
    }
    return ["multiply-accumulates of an image that leaves, of one that asks only the last exit"] + rows + [
      "",
      "images by stage           \(images.map(String.init).joined(separator: ", "))",
      String(format: "training                  %10.4g G multiply-accumulates", training / 1e9),
      String(
        format: "end to end, %4d epochs   %10.4g G; as much as the stages after %.1f epochs", epochs,
        endToEnd / 1e9, equalEpochs),
    ]
  }
}
