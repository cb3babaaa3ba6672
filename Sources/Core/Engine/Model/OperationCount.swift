/// Floating-point operations, an addition and a multiplication counted each; products alone, since all else
/// is a few per cent.
///
/// T tokens, D = width, M = hidden width, P patches, N = numbers in a patch.
package struct OperationCount {
  private let c: EncoderConfiguration

  package init(_ configuration: EncoderConfiguration) { c = configuration }

  /// One image forward through one block: queries, keys and values, scores, context, projection, MLP.
  package var block: Int {
    let (t, d) = (c.tokens, c.width)
    return 2 * t * d * (3 * d + d + 2 * c.hidden) + 4 * t * t * d
  }

  /// One image forward through a block of which only the class token's output is needed
  /// (``ClassTokenAttention``): queries, directions, values and projection of one token, scores and mixtures
  /// over all, the MLP of one.
  package var classTokenBlock: Int {
    let (t, d) = (c.tokens, c.width)
    return 8 * d * d + 4 * t * d * c.heads + 4 * d * c.hidden
  }

  /// One image through the stem.
  package var stem: Int { 2 * c.patches * c.patchSize * c.width }

  /// One image forward through a head.
  package func head(_ head: Head) -> Int {
    zip(head.widths, head.widths.dropFirst()).reduce(0) { $0 + 2 * $1.0 * $1.1 }
  }

  /// One optimiser step on `batch` images in two views: frozen blocks forward, trained ones forward and
  /// twice that backward, the reference branch forward where there is one; of the last block what is
  /// computed, or all of it.
  package func step(_ stage: Stage, batch: Int, usesReference: Bool, fullLastBlock: Bool) -> Int {
    let trained = stage.trainedBlocks.count
    let frozen = stage.model.depth - trained
    let passes = usesReference ? 4 : 3
    var image = frozen * block + passes * (trained - 1) * block
    image += passes * (fullLastBlock ? block : classTokenBlock)
    image += stage.trainsStem ? 2 * stem : stem
    image += (usesReference ? 4 : 3) * head(stage.model.projector)
    return 2 * batch * image
  }
}
