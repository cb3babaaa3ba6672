extension VisionTransformerPass {
  /// What the trained part of a transformer keeps of a batch for its way back.
  ///
  /// It covers a slice of the rows, which may be all of them.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    /// The stem's input, where the stem trains [rows · patches, patch size].
    let patches: Slot?
    /// One a block above the prefix that runs in full, from the lowest.
    let blocks: [EncoderBlock.TracePlan]
    /// The last block's, of which the class token's output alone is needed; nil where it runs in full.
    let last: ClassTokenBlock.TracePlan?

    init(_ encoder: VisionTransformer, _ settings: PassSettings) {
      let (c, kept) = (encoder.shape, settings.keptRows)
      patches = settings.trainsStem ? layout.add("patches", kept * c.patches, c.patchSize) : nil
      var blocks: [EncoderBlock.TracePlan] = []
      for _ in (settings.prefix..<encoder.layers.count).dropLast(settings.lastBlock == .whole ? 0 : 1) {
        blocks.append(EncoderBlock.TracePlan(images: kept, c.block, in: &layout))
      }
      self.blocks = blocks
      last =
        settings.lastBlock == .whole ? nil : ClassTokenBlock.TracePlan(images: kept, c.block, in: &layout)
    }
  }
}
