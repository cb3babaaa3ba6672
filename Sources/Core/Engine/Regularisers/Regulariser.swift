/// A term of the loss in addition to the objective's, at one of four places.
///
/// A new regulariser conforms to one of the protocols and is added to ``TrainingOptions/regularisers``.
package enum Regulariser: Sendable {
  case weights(any WeightPenalty)
  /// On the representations that the objective compares.
  case representations(any RepresentationPenalty)
  /// On the features of a stage, which are the representations before any head.
  case features(any FeaturePenalty)
  case residualBranches(any BranchPenalty)

  /// Whether it compares with the received global model.
  package var usesReference: Bool {
    switch self {
    case .weights(let penalty): penalty.usesReference
    case .representations(let penalty): penalty.usesReference
    case .features, .residualBranches: false
    }
  }
}

/// A regulariser on the weights.
package protocol WeightPenalty: Sendable {
  /// The name of its term in the loss.
  var name: String { get }
  /// Whether it uses the received parameters.
  var usesReference: Bool { get }

  /// Returns the penalty on the parameters in `ranges` and adds its gradient; `reference` contains the received
  /// parameters.
  func loss(
    _ parameters: borrowing Storage, reference: borrowing Storage, ranges: [Range<Int>],
    adding gradients: borrowing Storage
  ) -> Float
}

/// A regulariser on the representations that an objective compares: the projections of a self-supervised loss.
package protocol RepresentationPenalty: Sendable {
  /// The name of its term in the loss.
  var name: String { get }
  /// Whether it uses the projections of the received global model for the same images.
  var usesReference: Bool { get }

  /// Adds its work space for batches of `batch` images in `views` views to a layout.
  func makeStep(batch: Int, views: Int, width: Int, in layout: inout Layout) -> any RepresentationPenaltyStep
}

/// A regulariser with its memory.
package protocol RepresentationPenaltyStep: Sendable {
  /// Returns the penalty and adds its gradient to dz.    z, dz, reference [views · batch, width]
  func loss(
    _ z: Matrix, reference: Matrix, adding dz: Matrix, _ work: borrowing Storage
  ) -> Float
}

/// A regulariser on the features T of a stage: the class token of a transformer after the readout, or the means
/// of a ResNet that its classifier or projector reads.
package protocol FeaturePenalty: Sendable {
  /// The name of its term in the loss.
  var name: String { get }
  /// Whether it uses the network's inputs.
  var needsInputs: Bool { get }

  /// Adds its work space for batches of `batch` images, one of `views` views at a time, to a layout. `inputs` is the
  /// number of values of an input.
  func makeStep(batch: Int, views: Int, inputs: Int, features: Int, in layout: inout Layout)
    -> any FeaturePenaltyStep
}

/// A regulariser on features with its memory.
package protocol FeaturePenaltyStep: Sendable {
  /// Returns the share of a view in the penalty and adds its gradient.
  ///                                            inputs [batch, inputs], features, gradients [batch, features]
  func loss(inputs: Matrix, features: Matrix, adding gradients: Matrix, _ work: borrowing Storage) -> Float
}

/// A penalty on the outputs of the residual branches that train, before they are added to their input.
///
/// Branch outputs exist only where such a penalty asks for them.
package protocol BranchPenalty: Sendable {
  /// The name of its term in the loss.
  var name: String { get }

  /// Returns the part of the term that these rows of a branch's output contribute, and adds its gradient; `count` is the
  /// number of elements of the branch's output for the whole batch.       branch, gradient [R, D]
  func loss(_ branch: Matrix, of count: Int, adding gradient: Matrix) -> Float
}

/// The penalties on residual branches during one backward pass.
///
/// Each chunk of images has its own sums, so that the totals do not depend on which worker took which chunk.
package struct BranchPenalties {
  /// The slot of the sums, in the layout of a pass.
  package struct Plan: Sendable {
    private let slot: Slot
    private let penalties: [any BranchPenalty]

    package init?(_ settings: PassSettings, in layout: inout Layout) {
      guard !settings.branchPenalties.isEmpty else { return nil }
      penalties = settings.branchPenalties
      slot = layout.add("branch penalties", penalties.count, settings.chunks)
    }

    /// `rows` is the number of rows of a branch's output for the whole batch.
    package func penalties(_ storage: borrowing Storage, rows: Int) -> BranchPenalties {
      BranchPenalties(penalties: penalties, sums: storage[slot], rows: rows)
    }
  }

  private let penalties: [any BranchPenalty]
  /// [penalties, chunks]
  private let sums: Matrix
  private let rows: Int

  package func clear() { Elementwise.fill(sums, 0) }

  /// Adds the gradients of all penalties to that of a branch's output for a chunk of images.
  package func apply(_ branch: Matrix, chunk: Int, adding gradient: Matrix) {
    for (index, penalty) in penalties.enumerated() {
      sums[index, chunk] += penalty.loss(branch, of: rows * branch.columns, adding: gradient)
    }
  }

  /// The terms of the last batch.
  package var terms: [LossTerms.Term] {
    penalties.enumerated().map { index, penalty in
      let total = (0..<sums.columns).reduce(0.0) { $0 + Double(sums[index, $1]) }
      return LossTerms.Term(name: penalty.name, value: Float(total))
    }
  }
}
