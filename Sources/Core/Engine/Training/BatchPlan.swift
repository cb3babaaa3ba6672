/// The memory of a batch behind the encoder: what readout, heads and losses need.
///
/// B images in two views make 2B rows: row v·B + i is view v of image i. F = pooled width, D = width of a
/// representation, P = projection.
struct BatchPlan: Sendable {
  private(set) var layout = Layout(alignment: 16)
  /// What the encoder's last block leaves, and its gradients [2B, F].
  let pooled, pooledGradients: Slot
  let readout: Readout.TracePlan
  /// Representations and their gradients [2B, D].
  let representations, representationGradients: Slot
  /// The projector's, one a view.
  let heads: [Head.TracePlan]
  /// Projections and their gradients [2B, P].
  let projections, projectionGradients: Slot
  let objective: Objective
  /// The branch through the global model as received, where something compares with it.
  let reference: (branch: BranchPlan, alignment: InfoNCE)?

  init(_ stage: Stage, _ options: TrainingOptions) {
    let (encoder, projector) = (stage.model.encoder, stage.model.projector)
    let (rows, width) = (2 * options.batch, encoder.configuration.output)
    pooled = layout.add("pooled", rows, encoder.pooledWidth)
    pooledGradients = layout.add("pooled gradients", rows, encoder.pooledWidth)
    readout = encoder.readout.tracePlan(rows: rows, width: width, in: &layout)
    representations = layout.add("representations", rows, width)
    representationGradients = layout.add("representation gradients", rows, width)
    var heads: [Head.TracePlan] = []
    for _ in 0..<2 { heads.append(Head.TracePlan(projector, rows: options.batch, in: &layout)) }
    self.heads = heads
    projections = layout.add("projections", rows, projector.output)
    projectionGradients = layout.add("projection gradients", rows, projector.output)
    objective = Objective(stage, options, in: &layout)
    reference =
      options.usesReference
      ? (
        BranchPlan("reference", stage, rows: rows, in: &layout),
        InfoNCE(batch: options.batch, width: projector.output, in: &layout)
      ) : nil
  }
}

/// What a branch beside the online one leaves of a batch: pooled features [2B, F], projections [2B, P].
struct BranchPlan: Sendable {
  let pooled, projections: Slot

  init(_ name: String, _ stage: Stage, rows: Int, in layout: inout Layout) {
    pooled = layout.add("\(name) pooled", rows, stage.model.encoder.pooledWidth)
    projections = layout.add("\(name) projections", rows, stage.model.projector.output)
  }
}
