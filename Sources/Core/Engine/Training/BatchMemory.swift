/// The memory of a batch: what its trained blocks keep, and everything behind the class tokens.
///
/// B images in two views make 2B rows: row v·B + i is view v of image i. D = width, P = projection.
/// What blocks and stem keep covers a slice of the rows, which may be all of them.
struct BatchPlan: Sendable {
  private(set) var layout = Layout(alignment: 16)
  /// Class tokens before the final normalisation and their gradients [2B, D].
  let tokens, tokenGradients: Slot
  let norm: LayerNorm.TracePlan
  /// Class tokens after the final normalisation and their gradients [2B, D].
  let representations, representationGradients: Slot
  let heads: [Head.TracePlan]
  /// Projections and their gradients [2B, P].
  let projections, projectionGradients: Slot
  let contrast: NTXent
  let reference: Reference?
  /// The stem's input of a slice, where the stem trains [rows · patches, patch size].
  let patches: Slot?
  /// One a trained block that runs in full, from the lowest.
  let blocks: [EncoderBlock.TracePlan]
  /// The last block's, of which the class token's output alone is needed; nil where it runs in full.
  let last: ClassTokenBlock.TracePlan?

  /// The branch through the global model as received: class tokens [2B, D] and projections [2B, P].
  struct Reference: Sendable {
    let tokens, projections: Slot
    let alignment: InfoNCE
  }

  init(_ stage: Stage, _ options: TrainingOptions) {
    let c = stage.model.encoder.configuration
    let projector = stage.model.projector
    let (rows, output) = (2 * options.batch, projector.widths[projector.widths.count - 1])
    tokens = layout.add("class tokens", rows, c.width)
    tokenGradients = layout.add("class token gradients", rows, c.width)
    norm = LayerNorm.TracePlan(rows: rows, width: c.width, in: &layout)
    representations = layout.add("representations", rows, c.width)
    representationGradients = layout.add("representation gradients", rows, c.width)
    var heads: [Head.TracePlan] = []
    for _ in 0..<2 { heads.append(Head.TracePlan(projector, rows: options.batch, in: &layout)) }
    self.heads = heads
    projections = layout.add("projections", rows, output)
    projectionGradients = layout.add("projection gradients", rows, output)
    contrast = NTXent(batch: options.batch, width: output, in: &layout)
    reference =
      options.usesReference
      ? Reference(
        tokens: layout.add("reference class tokens", rows, c.width),
        projections: layout.add("reference projections", rows, output),
        alignment: InfoNCE(batch: options.batch, width: output, in: &layout)) : nil
    let kept = options.keptRows
    patches = stage.trainsStem ? layout.add("patches", kept * c.patches, c.patchSize) : nil
    var blocks: [EncoderBlock.TracePlan] = []
    for _ in stage.trainedBlocks.dropLast(options.fullLastBlock ? 0 : 1) {
      blocks.append(EncoderBlock.TracePlan(images: kept, c.block, in: &layout))
    }
    self.blocks = blocks
    last =
      options.fullLastBlock ? nil : ClassTokenBlock.TracePlan(images: kept, c.block, in: &layout)
  }
}
