/// An optimiser: changes parameters by their gradients, step after step.
package protocol Optimiser: AnyObject {
  /// Updates the optimiser's parameters, distributed among the workers. The result does not depend on their number.
  func step(
    _ parameters: borrowing Storage, _ gradients: borrowing Storage, learningRate: Float, _ workers: Workers)
}

/// The rule of a training's optimiser.
package enum OptimiserKind: String, Sendable, Codable, CaseIterable {
  /// ``AdamW``.
  case adamw
  /// Stochastic gradient descent with momentum (``MomentumSGD``).
  case sgd
  /// The same with a rate for each tensor (LARS, arXiv 1708.03888; ``MomentumSGD``).
  case lars

  /// The number of values that it keeps for each trained parameter.
  package var moments: Int { self == .adamw ? 2 : 1 }
}

/// A tensor of an optimiser's parameters.
package struct OptimisedTensor: Sendable, Hashable {
  /// The place in the layout of the parameters.
  package let range: Range<Int>
  /// Whether it is a vector, such as a bias or the weights of a normalisation.
  package let isVector: Bool

  package init(range: Range<Int>, isVector: Bool) { (self.range, self.isVector) = (range, isVector) }
}

extension Stage {
  /// The tensors that an optimiser updates, in layout order: trained parameters without buffers.
  package var optimisedTensors: [OptimisedTensor] {
    entries.filter { !$0.isBuffer }.map {
      OptimisedTensor(range: $0.slot.range, isVector: $0.shape.count == 1)
    }
  }
}

extension TrainingOptions {
  /// Creates the optimiser of a stage's trained parameters, with moments of 0.
  func makeOptimiser(_ stage: Stage) -> any Optimiser {
    switch optimiser {
    case .adamw:
      AdamW(stage.ranges, moving: stage.optimised, weightDecay: weightDecay, moments: moments)
    case .sgd, .lars:
      MomentumSGD(
        stage.ranges, moving: stage.optimisedTensors, weightDecay: weightDecay, momentum: gradientMomentum,
        trustCoefficient: optimiser == .lars ? trustCoefficient : nil)
    }
  }
}
