/// The self-supervised loss of a step, over both views' projections z [2B, P].
///
/// A new loss joins here and in ``SelfSupervision``.
enum Objective: Sendable {
  /// SimCLR: every projection against all others.
  case contrast(NTXent)
  /// MoCo v3 and BYOL: the prediction from one view against the target branch's projection of the other.
  case prediction(Prediction)

  init(_ stage: Stage, _ options: TrainingOptions, in layout: inout Layout) {
    if options.ssl.predicts {
      self = .prediction(Prediction(stage, options, in: &layout))
    } else {
      self = .contrast(NTXent(batch: options.batch, width: stage.model.projector.output, in: &layout))
    }
  }

  /// The target branch and the predictor's work space.
  struct Prediction: Sendable {
    /// The target branch's pooled features [2B, F] and projections [2B, P].
    let target: BranchPlan
    /// The predictor's, one a view.
    let heads: [Head.TracePlan]
    /// Gradients of predictions and of what they are made from [2B, P].
    let gradients, inputGradients: Slot
    let distance: Distance

    enum Distance: Sendable {
      case infoNCE(InfoNCE)
      case cosine(CosineDistance)
    }

    init(_ stage: Stage, _ options: TrainingOptions, in layout: inout Layout) {
      guard let predictor = stage.model.predictor else {
        preconditionFailure("\(options.ssl.rawValue) without a predictor")
      }
      let (batch, width) = (options.batch, stage.model.projector.output)
      target = BranchPlan("target", stage, rows: 2 * batch, in: &layout)
      var heads: [Head.TracePlan] = []
      for _ in 0..<2 { heads.append(Head.TracePlan(predictor, rows: batch, in: &layout)) }
      self.heads = heads
      gradients = layout.add("prediction gradients", 2 * batch, width)
      inputGradients = layout.add("prediction input gradients", 2 * batch, width)
      distance =
        options.ssl == .byol
        ? .cosine(CosineDistance(batch: batch, width: width, in: &layout))
        : .infoNCE(InfoNCE(batch: batch, width: width, in: &layout))
    }
  }
}
