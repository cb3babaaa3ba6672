/// A vision transformer of so many blocks: stem, blocks, final normalisation (arXiv 2010.11929).
///
/// An image's representation is its class token after the final normalisation, [D].
package struct Encoder: Sendable {
  package let configuration: EncoderConfiguration
  package let stem: PatchEmbedding
  package let blocks: [EncoderBlock]
  package let norm: LayerNorm

  /// Adds the parameters of the stem, of the first `depth` blocks and of the final normalisation, in this
  /// order, under timm's names.
  package init(_ configuration: EncoderConfiguration, depth: Int, in layout: inout Layout) {
    precondition(depth >= 1 && depth <= configuration.depth, "\(depth) of \(configuration.depth) blocks")
    self.configuration = configuration
    stem = PatchEmbedding(configuration, in: &layout)
    var blocks: [EncoderBlock] = []
    for index in 0..<depth {
      blocks.append(EncoderBlock("blocks.\(index)", configuration.block, in: &layout))
    }
    self.blocks = blocks
    norm = LayerNorm("norm", width: configuration.width, in: &layout)
  }
}
