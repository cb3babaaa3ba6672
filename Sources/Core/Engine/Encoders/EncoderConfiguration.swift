/// The configuration of an encoder of any family. A new family adds a case here and an ``Encoder``.
package enum EncoderConfiguration: Sendable, Hashable {
  case vit(ViTConfiguration)
  case resnet(ResNetConfiguration)

  /// The names of the families in plans and checkpoints.
  package enum Family: String, Sendable, Codable, CaseIterable {
    /// Vision transformers (arXiv 2010.11929).
    case vit
    /// ResNet-18, in four layers (arXiv 1512.03385).
    case resnet
  }

  /// The family. Setting another family keeps the common fields; a transformer then has a single patch and head.
  package var family: Family {
    get {
      switch self {
      case .vit: .vit
      case .resnet: .resnet
      }
    }
    set {
      guard newValue != family else { return }
      switch newValue {
      case .vit:
        self = .vit(
          ViTConfiguration(images: input.images, patch: imageSide, width: width, depth: depth, heads: 1))
      case .resnet: self = .resnet(ResNetConfiguration(images: input.images, width: width, depth: depth))
      }
    }
  }

  /// The type and shape of the input.
  package var input: EncoderInput {
    switch self {
    case .vit(let c): .images(c.images)
    case .resnet(let c): .images(c.images)
    }
  }

  /// The number of blocks of the finished encoder.
  package var depth: Int {
    get {
      switch self {
      case .vit(let c): c.depth
      case .resnet(let c): c.depth
      }
    }
    set {
      switch self {
      case .vit(var c):
        c.depth = newValue
        self = .vit(c)
      case .resnet(var c):
        c.depth = newValue
        self = .resnet(c)
      }
    }
  }

  /// The width of a representation.
  package var output: Int {
    switch self {
    case .vit(let c): c.width
    case .resnet(let c): c.output
    }
  }

  /// Creates an encoder and adds its parameters to a layout: stem, the blocks of these indices, readout.
  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    switch self {
    case .vit(let c): VisionTransformer(c, blocks: blocks, in: &layout)
    case .resnet(let c): ResNet(c, blocks: blocks, in: &layout)
    }
  }

  /// Creates the configuration of a vision transformer.
  package init(
    image: Int, channels: Int = 3, patch: Int, width: Int, depth: Int, heads: Int, mlpRatio: Int = 4
  ) {
    self = .vit(
      ViTConfiguration(
        images: ImageInput(side: image, channels: channels), patch: patch, width: width, depth: depth,
        heads: heads, mlpRatio: mlpRatio))
  }
}

/// The input of an encoder.
package enum EncoderInput: Sendable, Hashable {
  case images(ImageInput)

  /// The number of values of one input.
  package var count: Int {
    switch self {
    case .images(let shape): shape.count
    }
  }

  /// The shape of the images.
  package var images: ImageInput {
    switch self {
    case .images(let shape): shape
    }
  }
}

/// The shape of square images [C, side, side].
package struct ImageInput: Sendable, Hashable {
  /// The side in pixels.
  package var side: Int
  /// The number of colour channels.
  package var channels: Int

  package init(side: Int, channels: Int = 3) { (self.side, self.channels) = (side, channels) }

  /// The number of values of an image: channels x side x side.
  package var count: Int { channels * side * side }
}

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

  package init(images: ImageInput, patch: Int, width: Int, depth: Int, heads: Int, mlpRatio: Int = 4) {
    (self.images, self.patch, self.width, self.depth) = (images, patch, width, depth)
    (self.heads, self.mlpRatio) = (heads, mlpRatio)
  }

  /// The number of patches of an image.
  package var patches: Int { (images.side / patch) * (images.side / patch) }
  /// The number of tokens T: the class token and the patches.
  package var tokens: Int { patches + 1 }
  /// The number of values of a patch: channels x patch x patch.
  package var patchSize: Int { images.channels * patch * patch }
  /// The width of a block's hidden layer.
  package var hidden: Int { width * mlpRatio }
  /// The shape of each block.
  package var block: EncoderBlock.Shape {
    EncoderBlock.Shape(tokens: tokens, width: width, heads: heads, hidden: hidden)
  }
}

/// The configuration of a ResNet-18 for small images (arXiv 1512.03385).
package struct ResNetConfiguration: Sendable, Hashable {
  package var images: ImageInput
  /// The channels of the first layer, 64 in ResNet-18; each further layer has twice as many.
  package var width: Int
  /// The number of layers of the finished encoder, up to 4.
  package var depth: Int

  package init(images: ImageInput, width: Int, depth: Int = 4) {
    (self.images, self.width, self.depth) = (images, width, depth)
  }

  /// The width of a representation: the channels of the fourth layer.
  package var output: Int { width << 3 }
}

// MARK: - Fields

/// The fields of several families, and those of one family.
extension EncoderConfiguration {
  /// The side of the images in pixels.
  package var imageSide: Int {
    get { input.images.side }
    set { setImages { $0.side = newValue } }
  }

  /// The number of colour channels of the images.
  package var imageChannels: Int {
    get { input.images.channels }
    set { setImages { $0.channels = newValue } }
  }

  private mutating func setImages(_ change: (inout ImageInput) -> Void) {
    switch self {
    case .vit(var c):
      change(&c.images)
      self = .vit(c)
    case .resnet(var c):
      change(&c.images)
      self = .resnet(c)
    }
  }

  /// The width of a token, or the channels of a ResNet's first layer.
  package var width: Int {
    get {
      switch self {
      case .vit(let c): c.width
      case .resnet(let c): c.width
      }
    }
    set {
      switch self {
      case .vit(var c):
        c.width = newValue
        self = .vit(c)
      case .resnet(var c):
        c.width = newValue
        self = .resnet(c)
      }
    }
  }

  /// The configuration of a vision transformer; traps for other families.
  package var vit: ViTConfiguration {
    get {
      guard case .vit(let c) = self else { preconditionFailure("a \(family) has no patches") }
      return c
    }
    set { self = .vit(newValue) }
  }
}

// MARK: - Coding

/// An object with flat fields: `family`, `image`, `channels`, `width`, `depth`, and those of the family.
extension EncoderConfiguration: Codable {
  private enum Key: String, CodingKey {
    case family, image, channels, patch, width, depth, heads, mlpRatio
  }

  package init(from decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    let images = ImageInput(
      side: try values.decode(Int.self, forKey: .image),
      channels: try values.decode(Int.self, forKey: .channels)
    )
    let (width, depth) = (
      try values.decode(Int.self, forKey: .width), try values.decode(Int.self, forKey: .depth)
    )
    switch try values.decode(Family.self, forKey: .family) {
    case .vit:
      self = .vit(
        ViTConfiguration(
          images: images, patch: try values.decode(Int.self, forKey: .patch), width: width, depth: depth,
          heads: try values.decode(Int.self, forKey: .heads),
          mlpRatio: try values.decode(Int.self, forKey: .mlpRatio)))
    case .resnet: self = .resnet(ResNetConfiguration(images: images, width: width, depth: depth))
    }
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(family, forKey: .family)
    try values.encode(input.images.side, forKey: .image)
    try values.encode(input.images.channels, forKey: .channels)
    try values.encode(depth, forKey: .depth)
    switch self {
    case .vit(let c):
      try values.encode(c.patch, forKey: .patch)
      try values.encode(c.width, forKey: .width)
      try values.encode(c.heads, forKey: .heads)
      try values.encode(c.mlpRatio, forKey: .mlpRatio)
    case .resnet(let c): try values.encode(c.width, forKey: .width)
    }
  }
}
