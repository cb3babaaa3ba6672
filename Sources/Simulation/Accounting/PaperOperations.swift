import Engine

/// Operations of one image forward as LW-FedSSL's tables count them (arXiv 2401.11647).
///
/// The paper does not say how it counts. What is here gives thirteen figures of its tables without a constant
/// of its own, and is inferred from them. The rules are those of fvcore's FlopCountAnalysis: one operation a
/// multiply-accumulate of a product, attention's included, 5 an element of a normalisation (4 without
/// weights), nothing for biases, activations, softmax and sums. Of a transformer the patches alone count: with
/// a class token the same rules miss the figures. ViT-Tiny's block takes 30,007,296 operations.
package struct PaperOperations: Sendable, Hashable {
  package let stem: Int
  /// One a block, from the lowest.
  package let blocks: [Int]
  package let readout: Int
  /// Projector and predictor.
  package let heads: Int

  package init(_ model: Model) {
    if let resnet = model.encoder as? ResNet {
      stem = Self.unit(resnet.stem)
      blocks = resnet.layers.map { $0.flatMap(\.units).reduce(0) { $0 + Self.unit($1) } }
      readout = resnet.operations.readout / 2
    } else if let transformer = model.encoder as? VisionTransformer {
      let c = transformer.shape
      stem = c.patches * c.patchSize * c.width
      blocks = model.encoder.blocks.map { _ in Self.block(c) }
      readout = 5 * c.width
    } else {
      preconditionFailure("the paper has no \(model.encoder.configuration.family)")
    }
    let objective = model.objective as? any ProjectionObjective
    heads = objective?.projectionHeads.reduce(0) { $0 + Self.head($1) } ?? 0
  }

  /// Queries, keys, values and projection, the MLP, scores and context, two normalisations.
  private static func block(_ c: ViTConfiguration) -> Int {
    let (tokens, width) = (c.patches, c.width)
    return tokens * width * (4 * width + 2 * c.hidden) + 2 * tokens * tokens * width + 2 * 5 * tokens * width
  }

  private static func unit(_ unit: BasicBlock.Unit) -> Int {
    unit.convolution.operations / 2 + 5 * unit.convolution.outputSize
  }

  private static func head(_ head: ProjectionHead) -> Int {
    let widths = head.widths
    let products = zip(widths, widths.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 }
    return products + 5 * widths.dropFirst().dropLast().reduce(0, +) + 4 * head.output
  }
}
