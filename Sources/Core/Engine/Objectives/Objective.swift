/// What a stage is trained for: everything behind the encoder. Its heads' parameters stand behind the encoder's in the
/// layout of a ``Model``.
///
/// A new objective conforms to this and joins ``ObjectiveConfiguration``; trainer, plans and what travels stay as they
/// are. B images a step, V views of each, F = the encoder's pooled width.
package protocol Objective: Sendable {
  /// V, the views of each image that a step takes: 1 or 2.
  var views: Int { get }
  /// Whether a step needs the images' classes.
  var needsLabels: Bool { get }
  /// Copies of what trains that its loss compares with.
  var branches: [Branch] { get }

  /// How a parameter of its heads starts.
  func distribution(of entry: Layout.Entry) -> Initialisation.Distribution
  /// Floating-point operations of the heads for a view of an image: once for each pass of the encoder (forward, twice
  /// backward, and each branch), or less where a head is not in all of them.
  func operations(passes: Int) -> Int
  /// Adds the memory of a batch behind `encoder` to a layout. Returns what takes a batch through it; `penalties` act on
  /// what it compares.
  func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep
}

/// A batch's way through an objective, forward and back.
package protocol ObjectiveStep: Sendable {
  /// Returns the loss's terms, writes the gradient of the pooled features and adds those of the heads. `work` is a
  /// storage of the layout that the step was made with.
  func run(
    _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
  ) -> LossTerms

  /// What the last batch tells about collapse; nil where the objective cannot collapse, or where a number is not finite.
  func monitors(_ work: borrowing Storage) -> CollapseMonitors?
}

/// A copy of what trains, beside the one that is trained.
package enum Branch: Sendable, Hashable, CaseIterable {
  /// The global model as received.
  case reference
  /// A moving average of what trains (MoCo, BYOL).
  case target
}

/// What the encoder leaves of a batch, and where its gradients go.
package struct PooledBatch {
  /// Row v·B + i is view v of image i [V·B, F].
  let pooled: Matrix
  /// Their gradients [V·B, F], to be written.
  let gradients: Matrix
  /// The same images through the other branches, with the parameters of each.
  let branches: [PooledBranch]
  /// Where the gradients of readout and heads are added, one for each view: two workers do not share one.
  let headGradients: [StorageBox]
  /// The images, for their classes.
  let images: Minibatch

  func branch(_ branch: Branch) -> PooledBranch {
    guard let found = branches.first(where: { $0.branch == branch }) else {
      preconditionFailure("a step without its branch \(branch)")
    }
    return found
  }
}

/// What the encoder leaves of a batch in a branch beside the online one.
package struct PooledBranch {
  package let branch: Branch
  package let parameters: StorageBox
  /// [V·B, F].
  package let pooled: Matrix
}

/// A step's loss: the objective's own term, and one of each regulariser.
package struct LossTerms: Sendable, Hashable {
  package struct Term: Sendable, Hashable {
    package let name: String
    package let value: Float
  }

  package private(set) var terms: [Term]
  /// Their sum.
  package private(set) var total: Float

  package init(_ name: String, _ value: Float) {
    terms = [Term(name: name, value: value)]
    total = value
  }

  package mutating func add(_ name: String, _ value: Float) { add([Term(name: name, value: value)]) }

  package mutating func add(_ more: [Term]) {
    terms += more
    total = more.reduce(total) { $0 + $1.value }
  }
}

/// Objectives by name, with what they are made from.
package enum ObjectiveConfiguration: Sendable, Hashable {
  /// Two views of an image are held against each other.
  case selfSupervised(SelfSupervision, HeadConfiguration)
  /// A linear layer on the representations tells classes.
  case classification(classes: Int)

  /// Adds the parameters of the heads behind an encoder's representations of `width` to a layout.
  func makeObjective(width: Int, in layout: inout Layout) -> any Objective {
    switch self {
    case .selfSupervised(.simclr, let heads): ContrastiveObjective(heads, width: width, in: &layout)
    case .selfSupervised(let loss, let heads): PredictiveObjective(loss, heads, width: width, in: &layout)
    case .classification(let classes): ClassificationObjective(classes: classes, width: width, in: &layout)
    }
  }
}

/// The self-supervised loss of local training.
package enum SelfSupervision: String, Sendable, Codable, CaseIterable {
  /// NT-Xent over both views' projections (arXiv 2002.05709).
  case simclr
  /// InfoNCE between predictions and a target branch's projections (arXiv 2104.02057).
  case mocov3
  /// Cosine distance between the same (arXiv 2006.07733).
  case byol
}
