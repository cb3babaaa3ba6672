/// The configuration of a ResNet-18 for small images (arXiv 1512.03385).
package struct ResNetConfiguration: Sendable, Hashable {
  package var images: ImageInput
  /// The channels of the first layer, 64 in ResNet-18; each further layer has twice as many.
  package var width: Int
  /// The number of layers of the finished encoder, up to 4.
  package var depth: Int
  /// The side g of the grid whose means are the representation. Nil for the mean of all pixels, which a temporary linear
  /// layer maps to the width of the fourth layer while layers are missing.
  package var grid: Int?

  package init(images: ImageInput, width: Int, depth: Int) {
    (self.images, self.width, self.depth) = (images, width, depth)
  }

  /// The width of a representation: the channels of the fourth layer; with a grid, those of the last layer times the
  /// cells.
  package var output: Int { grid.map { output(behind: depth, grid: $0) } ?? width << 3 }

  func output(behind depth: Int, grid: Int) -> Int { (width << (depth - 1)) * grid * grid }
}

extension EncoderConfiguration.Family {
  /// ResNet-18, in four layers (arXiv 1512.03385).
  package static let resnet = Self("resnet", ResNetConfiguration.self)
}

extension ResNetConfiguration: ImageFamilyConfiguration {
  package static let family = EncoderConfiguration.Family.resnet

  /// All four layers.
  package init(images: ImageInput, width: Int) { self.init(images: images, width: width, depth: 4) }

  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    ResNet(self, blocks: blocks, in: &layout)
  }

  package func pooled(grid: Int) -> Self {
    var configuration = self
    configuration.grid = grid
    return configuration
  }

  private enum Key: String, CodingKey { case grid }

  package init(from decoder: any Swift.Decoder) throws {
    try self.init(commonFieldsOf: decoder)
    grid = try decoder.container(keyedBy: Key.self).decodeIfPresent(Int.self, forKey: .grid)
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    try encodeCommonFields(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    try values.encodeIfPresent(grid, forKey: .grid)
  }
}
