/// The configuration of a ResNet-18 for small images (arXiv 1512.03385).
package struct ResNetConfiguration: Sendable, Hashable {
  package var images: ImageInput
  /// The channels of the first layer, 64 in ResNet-18; each further layer has twice as many.
  package var width: Int
  /// The number of layers of the finished encoder, up to 4.
  package var depth: Int

  package init(images: ImageInput, width: Int, depth: Int) {
    (self.images, self.width, self.depth) = (images, width, depth)
  }

  /// The width of a representation: the channels of the fourth layer.
  package var output: Int { width << 3 }
}

extension EncoderConfiguration.Family {
  /// ResNet-18, in four layers (arXiv 1512.03385).
  package static let resnet = Self("resnet", ResNetConfiguration.self)
}

extension ResNetConfiguration: FamilyConfiguration {
  package static let family = EncoderConfiguration.Family.resnet

  /// All four layers.
  package init(images: ImageInput, width: Int) { self.init(images: images, width: width, depth: 4) }

  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    ResNet(self, blocks: blocks, in: &layout)
  }

  package init(from decoder: any Swift.Decoder) throws { try self.init(commonFieldsOf: decoder) }
  package func encode(to encoder: any Swift.Encoder) throws { try encodeCommonFields(to: encoder) }
}
