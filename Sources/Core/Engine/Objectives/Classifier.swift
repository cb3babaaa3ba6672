/// The settings of a classifier.
package struct ClassifierConfiguration: Sendable, Hashable {
  /// The number of classes C, at least 1.
  package var classes: Int
  /// The width of the hidden layer; 0 for a linear classifier.
  package var hidden: Int
  /// The label smoothing ε, 0 ..< 1.
  package var smoothing: Float
  /// Whether a commitment head learns whether the classifier is right.
  package var commitment: Bool
  /// The names of the parameters, and their initial distribution.
  package var convention: Convention

  package enum Convention: Sendable, Hashable {
    /// `classifier.0.weight` … as in nn.Sequential, with the distributions of nn.Linear.
    case sequential
    /// `head.weight` and `head.bias`, with the distributions of timm.
    case timm
    /// `lin.weight` without a bias, as in PyTorch Geometric's GCN, with the distribution of nn.Linear.
    case graph
  }

  package init(
    classes: Int, hidden: Int = 0, smoothing: Float = 0, commitment: Bool = false,
    convention: Convention = .sequential
  ) {
    precondition(classes > 0 && hidden >= 0, "\(classes) classes, \(hidden) hidden")
    precondition((0..<1).contains(smoothing), "label smoothing of \(smoothing)")
    (self.classes, self.hidden, self.smoothing) = (classes, hidden, smoothing)
    (self.commitment, self.convention) = (commitment, convention)
  }
}

/// A classifier of representations: a linear layer, or two with a ReLU between them. It has no normalisation over a
/// batch, because an exit must answer for a single image.
///
/// n rows, D = width of a representation, H = hidden width, C classes.
package struct Classifier: Sendable {
  package let layers: [Linear]
  /// The commitment head, from the representation to a number whose sigmoid is the commitment (QuickNets, arXiv
  /// 2212.12866); nil without.
  package let commitment: Linear?

  /// Adds the parameters to a layout; their names begin with `prefix`.
  package init(_ c: ClassifierConfiguration, width: Int, prefix: String = "", in layout: inout Layout) {
    switch (c.convention, c.hidden) {
    case (.timm, _): layers = [Linear(prefix + "head", inputs: width, outputs: c.classes, in: &layout)]
    case (.graph, _):
      layers = [
        Linear(prefix + "lin", inputs: width, outputs: c.classes, bias: false, in: &layout)
      ]
    case (.sequential, 0):
      layers = [Linear(prefix + "classifier.0", inputs: width, outputs: c.classes, in: &layout)]
    case (.sequential, let hidden):
      let first = Linear(prefix + "classifier.0", inputs: width, outputs: hidden, in: &layout)
      layers = [first, Linear(prefix + "classifier.2", inputs: hidden, outputs: c.classes, in: &layout)]
    }
    guard c.commitment else {
      commitment = nil
      return
    }
    // A stage's head is a part of its own, because the next stage does not begin with it.
    if prefix.isEmpty { layout.part = Self.commitmentPart }
    commitment = Linear(prefix + "commitment", inputs: width, outputs: 1, in: &layout)
  }

  /// The part of a stage's commitment head, which starts at random in each stage.
  static let commitmentPart = "commitment"

  /// The number of classes C.
  package var classes: Int { layers[layers.count - 1].weight.rows }
  /// The width D of the representations.
  package var width: Int { layers[0].weight.columns }
  /// The floating-point operations for an image.
  package var operations: Int {
    (layers + (commitment.map { [$0] } ?? [])).reduce(0) { $0 + 2 * $1.weight.count }
  }

  /// Returns the bound of nn.Linear's distribution, 1 / √inputs, for a weight or a bias; nil for parameters of others.
  func bound(of entry: Layout.Entry) -> Float? {
    (layers + (commitment.map { [$0] } ?? [])).first {
      [$0.weight.offset, $0.bias?.offset].contains(entry.slot.offset)
    }
    .map { 1 / Float($0.weight.columns).squareRoot() }
  }

  /// The values kept for the backward pass, and the logits.
  package struct TracePlan: Sendable {
    /// The hidden layer after its ReLU, and its gradient [n, H].
    private let hidden: (values: Slot, gradients: Slot)?
    /// The logits [n, C], which a loss replaces with their gradients.
    package let logits: Slot

    package init(_ classifier: Classifier, rows: Int, in layout: inout Layout) {
      var hidden: (values: Slot, gradients: Slot)?
      if classifier.layers.count == 2 {
        let width = classifier.layers[0].weight.rows
        hidden = (layout.add("hidden", rows, width), layout.add("hidden gradients", rows, width))
      }
      self.hidden = hidden
      logits = layout.add("logits", rows, classifier.classes)
    }

    fileprivate func hidden(_ work: borrowing Storage, rows: Range<Int>) -> (
      values: Matrix, gradients: Matrix
    ) {
      guard let hidden else { preconditionFailure("the trace of a linear classifier") }
      return (work[hidden.values].rows(rows), work[hidden.gradients].rows(rows))
    }
  }

  /// Computes the logits of `rows` in the trace from the representations t [n, D].
  package func forward(
    _ t: Matrix, _ plan: TracePlan, rows: Range<Int>, _ work: borrowing Storage,
    _ parameters: borrowing Storage
  ) {
    let logits = work[plan.logits].rows(rows)
    guard layers.count == 2 else { return layers[0].forward(t, into: logits, parameters) }
    let hidden = plan.hidden(work, rows: rows).values
    layers[0].forward(t, into: hidden, parameters)
    Elementwise.relu(hidden)
    layers[1].forward(hidden, into: logits, parameters)
  }

  /// Computes dt [n, D] from the gradients of the logits in the trace.
  package func backward(
    input t: Matrix, into dt: Matrix, _ plan: TracePlan, rows: Range<Int>, _ work: borrowing Storage,
    _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    let d = work[plan.logits].rows(rows)
    guard layers.count == 2 else {
      return layers[0].backward(d, input: t, into: dt, parameters, gradients)
    }
    let (hidden, dh) = plan.hidden(work, rows: rows)
    layers[1].backward(d, input: hidden, into: dh, parameters, gradients)
    Elementwise.reluBackward(dh, output: hidden)
    layers[0].backward(dh, input: t, into: dt, parameters, gradients)
  }
}
