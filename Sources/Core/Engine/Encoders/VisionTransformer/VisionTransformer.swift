/// A vision transformer: stem, blocks, final normalisation (arXiv 2010.11929).
///
/// The features of an image are its tokens [T, D], its pooled output is the class token [D] of the last block, and its
/// representation is that token after the final normalisation [D].
package struct VisionTransformer: Encoder {
  package let shape: ViTConfiguration
  package let blocks: [Int]
  package let stem: PatchEmbedding
  package let layers: [EncoderBlock]
  package let norm: LayerNorm

  /// Adds the parameters of the stem, of the given blocks and of the final normalisation, in this order, with timm's
  /// names.
  package init(_ shape: ViTConfiguration, blocks: [Int], in layout: inout Layout) {
    self.shape = shape
    self.blocks = blocks
    layout.part = "stem"
    stem = PatchEmbedding(shape, in: &layout)
    var layers: [EncoderBlock] = []
    for index in blocks {
      layout.part = "blocks.\(index)"
      layers.append(EncoderBlock("blocks.\(index)", shape.block, in: &layout))
    }
    self.layers = layers
    layout.part = "norm"
    norm = LayerNorm("norm", width: shape.width, in: &layout)
  }

  private init(_ shape: ViTConfiguration, of other: VisionTransformer) {
    (self.shape, blocks, norm) = (shape, other.blocks, other.norm)
    stem = other.stem.with(shape)
    layers = other.layers.map { $0.among(shape.tokens) }
  }

  /// Returns the encoder of the same parameters that computes the class token and `shown` patches of each image; all for
  /// nil.
  func showing(_ shown: Int?) -> VisionTransformer {
    guard shown != nil else { return self }
    var shape = shape
    shape.shown = shown
    return VisionTransformer(shape, of: self)
  }

  package func cropped(to side: Int) -> (any Encoder)? {
    precondition(
      side < shape.images.side && side % shape.patch == 0, "\(side) of \(shape.images.side) pixels")
    var shape = shape
    shape.images.side = side
    return VisionTransformer(shape, of: self)
  }

  package func operations(showing shownPatches: Int?) -> EncoderOperations {
    showing(shownPatches).operations
  }

  package var pooledWidth: Int { shape.width }
  package var output: Int { shape.width }
  package var inputCount: Int { shape.images.count }
  package var readout: Readout { .norm(norm) }
  package func featureSize(behind depth: Int) -> Int { shape.tokens * shape.width }
  package func pooledWidth(behind depth: Int) -> Int { shape.width }

  package func makeReadout(_ name: String, behind depth: Int, in layout: inout Layout) -> Readout {
    .norm(LayerNorm("\(name).norm", width: shape.width, in: &layout))
  }

  /// A block computes queries, keys and values, scores, context, projection, MLP. The last block
  /// (``ClassTokenAttention``) computes queries, directions, values and projection of one token, scores and mixtures
  /// over all, the MLP of one.
  package var operations: EncoderOperations {
    let c = shape
    let (t, d) = (c.tokens, c.width)
    let block = 2 * t * d * (3 * d + d + 2 * c.hidden) + 4 * t * t * d
    return EncoderOperations(
      stem: 2 * c.shownPatches * c.patchSize * d, blocks: blocks.map { _ in block },
      lastBlock: 8 * d * d + 4 * t * d * c.heads + 4 * d * c.hidden, readout: 0)
  }

  /// The part of a block for its class token.
  package var partialBlock: Int? { operations.lastBlock }

  /// The distributions of timm's VisionTransformer: weights of linear layers and positions from a normal distribution,
  /// the patch projection as in nn.Conv2d, biases 0, normalisations 1 and 0.
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    if entry.name == "cls_token" { return .normal(deviation: 1e-6) }
    if entry.shape.count == 1 { return .constant(entry.name.hasSuffix("weight") ? 1 : 0) }
    if entry.name == "patch_embed.proj.weight" {
      return .uniform(bound: 1 / Float(entry.slot.columns).squareRoot())
    }
    return .normal(deviation: 0.02)
  }

  package func makePass(_ settings: PassSettings, workers: Workers) -> any EncoderPass {
    VisionTransformerPass(showing(settings.shownPatches), settings, workers: workers)
  }

  package func passMemory(_ settings: PassSettings, workers: Int) -> [(name: String, bytes: Int)] {
    let encoder = showing(settings.shownPatches)
    return [
      ("traces", VisionTransformerPass.Plan(encoder, settings).layout.bytes),
      (
        "workers",
        workers
          * VisionTransformerRunner.Plan(
            chunk: settings.chunk, keepsBranches: !settings.branchPenalties.isEmpty, encoder.shape
          ).layout.bytes
      ),
    ]
  }

  package func makeRunner(chunk: Int) -> any EncoderRunner { VisionTransformerRunner(self, chunk: chunk) }

  package func runnerMemory(chunk: Int) -> Int {
    VisionTransformerRunner.Plan(chunk: chunk, shape).layout.bytes
  }
}

extension VisionTransformerPass {
  /// The traces of a batch in the trained part of a transformer.
  ///
  /// They cover a slice of the rows, which may be all rows.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    /// The stem's input [rows · patches, patch size], if the stem trains.
    let patches: Slot?
    /// The traces of the blocks above the prefix that are computed for all tokens, from the lowest.
    let blocks: [EncoderBlock.TracePlan]
    /// The trace of the last block if it is computed only for the class token; nil otherwise.
    let last: ClassTokenBlock.TracePlan?
    let penalties: BranchPenalties.Plan?

    /// Penalties on its residual branches are over all tokens, so they need all of it, as do pooled features that are all
    /// tokens.
    static func computesWholeLastBlock(_ encoder: VisionTransformer, _ settings: PassSettings) -> Bool {
      settings.lastBlock == .whole || settings.shownPatches != nil
        || settings.keepsBranches(ofBlock: encoder.layers.count - 1)
    }

    init(_ encoder: VisionTransformer, _ settings: PassSettings) {
      let (c, kept) = (encoder.shape, settings.keptRows)
      patches = settings.trainsStem ? layout.add("patches", kept * c.shownPatches, c.patchSize) : nil
      var blocks: [EncoderBlock.TracePlan] = []
      let wholeLastBlock = Self.computesWholeLastBlock(encoder, settings)
      for block in (settings.prefix..<encoder.layers.count).dropLast(wholeLastBlock ? 0 : 1) {
        blocks.append(
          EncoderBlock.TracePlan(
            images: kept, keepsBranches: settings.keepsBranches(ofBlock: block), c.block, in: &layout))
      }
      self.blocks = blocks
      last = wholeLastBlock ? nil : ClassTokenBlock.TracePlan(images: kept, c.block, in: &layout)
      penalties = BranchPenalties.Plan(settings, in: &layout)
    }
  }
}
