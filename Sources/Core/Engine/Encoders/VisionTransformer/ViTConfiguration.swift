/// The configuration of a vision transformer (arXiv 2010.11929).
///
/// T tokens = 1 class token + patches, D = width.
package struct ViTConfiguration: Sendable, Hashable {
  package var images: ImageInput
  /// The side of a square patch in pixels; divides the images' side.
  package var patch: Int
  /// The width D of a token; a multiple of `heads`.
  package var width: Int
  /// The number of blocks of the finished encoder.
  package var depth: Int
  /// The number of attention heads of a block.
  package var heads: Int
  /// The width of a block's hidden layer divided by D.
  package var mlpRatio: Int
  /// The number of patches that a pass computes of each image; nil for all.
  package var shown: Int?

  package init(images: ImageInput, patch: Int, width: Int, depth: Int, heads: Int, mlpRatio: Int = 4) {
    (self.images, self.patch, self.width, self.depth) = (images, patch, width, depth)
    (self.heads, self.mlpRatio) = (heads, mlpRatio)
  }

  /// The number of patches of an image.
  package var patches: Int { (images.side / patch) * (images.side / patch) }
  /// The number of patches that are computed of an image.
  package var shownPatches: Int { shown ?? patches }
  /// The number of tokens T: the class token and the patches that are computed.
  package var tokens: Int { shownPatches + 1 }
  /// The number of values of a patch: channels x patch x patch.
  package var patchSize: Int { images.channels * patch * patch }
  /// The width of a block's hidden layer.
  package var hidden: Int { width * mlpRatio }
  /// The shape of each block.
  package var block: EncoderBlock.Shape {
    EncoderBlock.Shape(tokens: tokens, width: width, heads: heads, hidden: hidden)
  }
}

extension EncoderConfiguration.Family {
  /// Vision transformers (arXiv 2010.11929).
  package static let vit = Self("vit", ViTConfiguration.self)
}

extension ViTConfiguration: ImageFamilyConfiguration {
  package static let family = EncoderConfiguration.Family.vit
  package var output: Int { width }

  /// A single patch and a single head.
  package init(images: ImageInput, width: Int, depth: Int) {
    self.init(images: images, patch: images.side, width: width, depth: depth, heads: 1)
  }

  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    VisionTransformer(self, blocks: blocks, in: &layout)
  }

  private enum Key: String, CodingKey { case patch, heads, mlpRatio }

  package init(from decoder: any Swift.Decoder) throws {
    try self.init(commonFieldsOf: decoder)
    let values = try decoder.container(keyedBy: Key.self)
    patch = try values.decode(Int.self, forKey: .patch)
    heads = try values.decode(Int.self, forKey: .heads)
    mlpRatio = try values.decode(Int.self, forKey: .mlpRatio)
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    try encodeCommonFields(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(patch, forKey: .patch)
    try values.encode(heads, forKey: .heads)
    try values.encode(mlpRatio, forKey: .mlpRatio)
  }
}
