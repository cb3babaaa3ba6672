import Support

/// The training objective of a stage: everything after the encoder. Its heads' parameters follow the encoder's in the
/// layout of a ``Model``.
///
/// A new objective conforms to this protocol and is added to ``ObjectiveKind``; the trainer, plans and the
/// protocol remain unchanged. B images per step, V views of each, F = the encoder's pooled width.
package protocol Objective: Sendable {
  /// The number of views V of each image in a step: 1 or 2.
  var views: Int { get }
  /// The number of hops of the mean propagation over a graph that makes the second view of a node from the first; 0 if
  /// views are augmentations.
  var hops: Int { get }
  /// The number of an image's patches that a pass computes besides the class token, whose outputs are then the pooled
  /// features; nil if it computes all, and pools as the encoder does.
  var shownPatches: Int? { get }
  /// Whether a step also compares local views (``LocalViews``).
  var takesLocalViews: Bool { get }
  /// Whether a step needs the images that the encoder has.
  var needsImages: Bool { get }
  /// The number of storages for the gradients of readout and heads, at least the number of views.
  var headShards: Int { get }
  /// Whether a step needs labels.
  var needsLabels: Bool { get }
  /// The copies of the trained parameters that its loss uses.
  var branches: [Branch] { get }
  /// The names of the parts of its heads that start at random in each stage, instead of going on from the stage before.
  var partsOfStage: Set<String> { get }

  /// The names of the parts of its heads that are sums over data and not weights, whose size no limit on weights bounds.
  var sums: Set<String> { get }

  /// Returns the initial distribution of a parameter of its heads.
  func distribution(of entry: Layout.Entry) -> Initialisation.Distribution
  /// Returns the floating-point operations of the heads for a view of an image. They run once per pass of the encoder
  /// (forward, twice backward, and each branch), or less if a head is not part of all branches.
  func operations(passes: Int) -> Int
  /// The classifier of representations; nil if the objective does not classify.
  var classifier: Classifier? { get }
  /// Adds the parameters of another classifier, for an exit; returns nil if the objective does not classify.
  func makeClassifier(_ name: String, width: Int, in layout: inout Layout) -> Classifier?
  /// Adds the memory of a batch after `encoder` to a layout. Returns the step of a batch; `penalties` act on the
  /// representations that it compares.
  func makeStep(
    _ encoder: any Encoder, _ options: TrainingOptions, penalties: [any RepresentationPenalty],
    in layout: inout Layout
  ) -> any ObjectiveStep
}

extension Objective {
  package var hops: Int { 0 }
  package var shownPatches: Int? { nil }
  package var needsImages: Bool { false }
  package var takesLocalViews: Bool { false }
  package var headShards: Int { views }
  package var partsOfStage: Set<String> { [] }
  package var sums: Set<String> { [] }
  package var classifier: Classifier? { nil }
  package func makeClassifier(_ name: String, width: Int, in layout: inout Layout) -> Classifier? { nil }
}

/// The forward and backward pass of a batch through an objective.
package protocol ObjectiveStep: Sendable {
  /// Returns the terms of the loss, writes the gradient of the pooled features and adds the gradients of the heads.
  /// `work` is a storage of the layout with which the step was created.
  func run(
    _ batch: PooledBatch, _ parameters: borrowing Storage, _ work: borrowing Storage, _ workers: Workers
  ) -> LossTerms

  /// Returns the collapse monitors of the last batch; nil if the objective cannot collapse, or if a value is not
  /// finite.
  func monitors(_ work: borrowing Storage) -> CollapseMonitors?
}

/// A second copy of the trained parameters.
package enum Branch: Sendable, Hashable, CaseIterable {
  /// The received global model.
  case reference
  /// A moving average of the trained parameters (MoCo, BYOL).
  case target
}

/// The encoder's output for a batch, and the memory for its gradients.
package struct PooledBatch {
  /// The pooled features [V·B, F]; row v·B + i is view v of image i.
  package let pooled: Matrix
  /// The gradients of the pooled features [V·B, F], written by the objective.
  package let gradients: Matrix
  /// The output of the other branches for the same images, with the parameters of each.
  package let branches: [PooledBranch]
  /// The gradients of readout and heads, separate for each view or shard, so that workers do not share them.
  package let headGradients: [StorageBox]
  /// The images, for their classes.
  package let images: Minibatch
  /// The inputs of the network [V·B, values of an image], if the objective or a penalty needs them.
  package let inputs: Matrix?
  /// The batch of local views with their own pooled features and gradients; empty if there are none.
  package let local: [PooledBatch]

  package func branch(_ branch: Branch) -> PooledBranch {
    guard let found = branches.first(where: { $0.branch == branch }) else {
      preconditionFailure("a step without its branch \(branch)")
    }
    return found
  }
}

/// The encoder's output for a batch in the reference or target branch.
package struct PooledBranch {
  package let branch: Branch
  package let parameters: StorageBox
  /// The pooled features [V·B, F].
  package let pooled: Matrix
}

/// The loss of a step: the term of the objective, and one of each regulariser.
package struct LossTerms: Sendable, Hashable {
  package struct Term: Sendable, Hashable {
    package let name: String
    package let value: Float
  }

  package private(set) var terms: [Term]
  /// The sum of the terms.
  package private(set) var total: Float

  /// Creates a loss of 0 without terms.
  package init() { (terms, total) = ([], 0) }

  package init(_ name: String, _ value: Float) {
    terms = [Term(name: name, value: value)]
    total = value
  }

  /// Multiplies all terms by a factor.
  mutating func scale(by factor: Float) {
    terms = terms.map { Term(name: $0.name, value: factor * $0.value) }
    total *= factor
  }

  package mutating func add(_ name: String, _ value: Float) { add([Term(name: name, value: value)]) }

  package mutating func add(_ more: [Term]) {
    terms += more
    total = more.reduce(total) { $0 + $1.value }
  }
}

/// An objective before its heads have places in a layout.
///
/// Each objective has a static function here that creates its configuration, in its own file.
package struct ObjectiveConfiguration: Sendable {
  private let make: @Sendable (_ width: Int, _ layout: inout Layout) -> any Objective

  /// - Parameter make: adds the parameters of the heads behind representations of a width to a layout.
  package init(_ make: @escaping @Sendable (_ width: Int, _ layout: inout Layout) -> any Objective) {
    self.make = make
  }

  /// Adds the parameters of the heads behind an encoder's representations of `width` to a layout.
  func makeObjective(width: Int, in layout: inout Layout) -> any Objective { make(width, &layout) }
}

/// An objective that plans can name.
package struct ObjectiveKind: NamedKind {
  /// The objectives of plans; a new objective is added here.
  package static let allCases: [ObjectiveKind] = [
    .simclr, .mocov3, .byol, .vicreg, .barlow, .masked, .classification, .infomax, .regression,
  ]

  package let rawValue: String
  private let make: @Sendable (ObjectiveSettings) -> ObjectiveConfiguration

  /// Creates a kind with a name in plans; `make` creates its configuration.
  package init(_ name: String, _ make: @escaping @Sendable (ObjectiveSettings) -> ObjectiveConfiguration) {
    (rawValue, self.make) = (name, make)
  }

  /// Returns the configuration of the objective with a plan's settings.
  package func configuration(_ settings: ObjectiveSettings) -> ObjectiveConfiguration { make(settings) }
}

/// The settings of objectives in plans.
package struct ObjectiveSettings: Sendable, Hashable {
  /// The heads of objectives that compare projections.
  package var heads: HeadConfiguration

  /// The classifier of objectives with labels.
  package var classifier: ClassifierConfiguration

  package var regression: RegressionConfiguration

  /// The terms of graph infomax.
  package var infomax: GraphInfomaxConfiguration
  /// The terms of VICReg.
  package var vicreg: VICRegConfiguration
  /// The terms of Barlow Twins.
  package var barlow: BarlowConfiguration
  /// The masks and the decoder of masked autoencoding; nil for encoders without patches.
  package var masked: MaskedConfiguration?

  package init(
    heads: HeadConfiguration = HeadConfiguration(),
    classifier: ClassifierConfiguration = ClassifierConfiguration(classes: 1),
    regression: RegressionConfiguration = RegressionConfiguration(),
    infomax: GraphInfomaxConfiguration = GraphInfomaxConfiguration(),
    vicreg: VICRegConfiguration = VICRegConfiguration(), barlow: BarlowConfiguration = BarlowConfiguration(),
    masked: MaskedConfiguration? = nil
  ) {
    (self.heads, self.classifier, self.regression) = (heads, classifier, regression)
    (self.infomax, self.vicreg, self.barlow, self.masked) = (infomax, vicreg, barlow, masked)
  }
}
