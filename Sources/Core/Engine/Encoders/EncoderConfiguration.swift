/// What a vision transformer looks like (arXiv 2010.11929).
///
/// B images, T tokens = 1 class token + patches, D = width.
package struct EncoderConfiguration: Sendable, Hashable, Codable {
  /// Families of encoders. A new one joins here and in ``Encoder``.
  package enum Family: String, Sendable, Codable, CaseIterable {
    /// Vision transformers (arXiv 2010.11929).
    case vit
    /// ResNet-18, in four layers (arXiv 1512.03385).
    case resnet
  }

  package var family: Family
  /// Pixels along each side of the square input image.
  package var image: Int
  /// Colour planes of the input image.
  package var channels: Int
  /// Pixels along each side of a square patch; divides `image`.
  package var patch: Int
  /// D, the width of a token; a multiple of `heads`.
  package var width: Int
  /// Blocks of the finished encoder.
  package var depth: Int
  /// Attention heads of a block.
  package var heads: Int
  /// Width of a block's hidden layer over D.
  package var mlpRatio: Int

  package init(
    family: Family = .vit, image: Int, channels: Int = 3, patch: Int, width: Int, depth: Int, heads: Int,
    mlpRatio: Int = 4
  ) {
    self.family = family
    self.image = image
    self.channels = channels
    self.patch = patch
    self.width = width
    self.depth = depth
    self.heads = heads
    self.mlpRatio = mlpRatio
  }

  /// Width of a representation: a transformer's token, or the channels of a whole ResNet's last layer.
  package var output: Int { family == .resnet ? width << 3 : width }

  /// Patches of an image.
  package var patches: Int { (image / patch) * (image / patch) }
  /// T: the class token and the patches.
  package var tokens: Int { patches + 1 }
  /// Numbers in a patch: channels x patch x patch.
  package var patchSize: Int { channels * patch * patch }
  /// Width of a block's hidden layer.
  package var hidden: Int { width * mlpRatio }
  /// What each block is made from.
  package var block: EncoderBlock.Shape {
    EncoderBlock.Shape(tokens: tokens, width: width, heads: heads, hidden: hidden)
  }
  /// Numbers in an image: channels x image x image.
  package var imageSize: Int { channels * image * image }
}
