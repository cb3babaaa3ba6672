/// What an encoder looks like, by its family. A new family is a case here and an ``Encoder``.
package enum EncoderConfiguration: Sendable, Hashable {
  case vit(ViTConfiguration)
  case resnet(ResNetConfiguration)

  /// The families' names, as plans and checkpoints have them.
  package enum Family: String, Sendable, Codable, CaseIterable {
    /// Vision transformers (arXiv 2010.11929).
    case vit
    /// ResNet-18, in four layers (arXiv 1512.03385).
    case resnet
  }

  /// Another family keeps what both have; of a transformer that is a single patch and head.
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

  /// What goes in.
  package var input: EncoderInput {
    switch self {
    case .vit(let c): .images(c.images)
    case .resnet(let c): .images(c.images)
    }
  }

  /// Blocks of the finished encoder.
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

  /// Width of a representation.
  package var output: Int {
    switch self {
    case .vit(let c): c.width
    case .resnet(let c): c.width << 3
    }
  }

  /// Adds an encoder's parameters to a layout: stem, the blocks of these indices, readout.
  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    switch self {
    case .vit(let c): VisionTransformer(c, blocks: blocks, in: &layout)
    case .resnet(let c): ResNet(c, blocks: blocks, in: &layout)
    }
  }

  /// A vision transformer of this shape.
  package init(
    image: Int, channels: Int = 3, patch: Int, width: Int, depth: Int, heads: Int, mlpRatio: Int = 4
  ) {
    self = .vit(
      ViTConfiguration(
        images: ImageInput(side: image, channels: channels), patch: patch, width: width, depth: depth,
        heads: heads, mlpRatio: mlpRatio))
  }
}

/// What an encoder takes.
package enum EncoderInput: Sendable, Hashable {
  case images(ImageInput)

  /// Numbers of one input.
  package var count: Int {
    switch self {
    case .images(let shape): shape.count
    }
  }

  /// The shape of its images.
  package var images: ImageInput {
    switch self {
    case .images(let shape): shape
    }
  }
}

/// The shape of square images [C, side, side].
package struct ImageInput: Sendable, Hashable {
  /// Pixels along each side.
  package var side: Int
  /// Colour planes.
  package var channels: Int

  package init(side: Int, channels: Int = 3) { (self.side, self.channels) = (side, channels) }

  /// Numbers in an image: channels x side x side.
  package var count: Int { channels * side * side }
}

/// What a vision transformer looks like (arXiv 2010.11929).
///
/// T tokens = 1 class token + patches, D = width.
package struct ViTConfiguration: Sendable, Hashable {
  package var images: ImageInput
  /// Pixels along each side of a square patch; divides the images' side.
  package var patch: Int
  /// D, the width of a token; a multiple of `heads`.
  package var width: Int
  /// Blocks of the finished encoder.
  package var depth: Int
  /// Attention heads of a block.
  package var heads: Int
  /// Width of a block's hidden layer over D.
  package var mlpRatio: Int

  package init(images: ImageInput, patch: Int, width: Int, depth: Int, heads: Int, mlpRatio: Int = 4) {
    (self.images, self.patch, self.width, self.depth) = (images, patch, width, depth)
    (self.heads, self.mlpRatio) = (heads, mlpRatio)
  }

  /// Patches of an image.
  package var patches: Int { (images.side / patch) * (images.side / patch) }
  /// T: the class token and the patches.
  package var tokens: Int { patches + 1 }
  /// Numbers in a patch: channels x patch x patch.
  package var patchSize: Int { images.channels * patch * patch }
  /// Width of a block's hidden layer.
  package var hidden: Int { width * mlpRatio }
  /// What each block is made from.
  package var block: EncoderBlock.Shape {
    EncoderBlock.Shape(tokens: tokens, width: width, heads: heads, hidden: hidden)
  }
}

/// What a ResNet-18 for small images looks like (arXiv 1512.03385).
package struct ResNetConfiguration: Sendable, Hashable {
  package var images: ImageInput
  /// Channels of the first layer, 64 in ResNet-18; each further layer has twice as many.
  package var width: Int
  /// Layers of the finished encoder, up to 4.
  package var depth: Int

  package init(images: ImageInput, width: Int, depth: Int = 4) {
    (self.images, self.width, self.depth) = (images, width, depth)
  }
}

// MARK: - Fields

/// Fields that several families have, and those of one.
extension EncoderConfiguration {
  /// Pixels along each side of its images.
  package var imageSide: Int {
    get { input.images.side }
    set { setImages { $0.side = newValue } }
  }

  /// Colour planes of its images.
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

  /// Numbers of a token, or channels of a ResNet's first layer.
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

  /// The fields of a vision transformer; of another family there are none, and asking traps.
  package var vit: ViTConfiguration {
    get {
      guard case .vit(let c) = self else { preconditionFailure("a \(family) has no patches") }
      return c
    }
    set { self = .vit(newValue) }
  }
}

// MARK: - As it is stored and sent

/// One object of flat fields: `family`, `image`, `channels`, `width`, `depth`, and those of the family.
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
