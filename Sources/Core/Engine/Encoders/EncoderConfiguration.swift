import Support

/// The configuration of an encoder of any family.
package struct EncoderConfiguration: Sendable {
  /// The family's own configuration.
  package let value: any FamilyConfiguration

  package init(_ value: any FamilyConfiguration) { self.value = value }

  /// A family of encoders: a ``FamilyConfiguration`` with its ``Encoder``.
  package struct Family: NamedKind {
    /// The families that plans and checkpoints can name; a new family is added here.
    package static let allCases: [Family] = [.vit, .resnet, .gcn, .gat, .linear]

    package let rawValue: String
    fileprivate let type: any FamilyConfiguration.Type

    /// Whether its encoders take images; the others take the features of nodes or rows.
    package var takesImages: Bool { type is any ImageFamilyConfiguration.Type }

    /// The word for one input of its encoders.
    package var noun: String {
      guard let type = type as? any FeatureFamilyConfiguration.Type else { return "image" }
      return type.init(features: 1, width: 1, depth: 1).input.noun
    }

    /// Creates a family with a name in plans, and the type of its configurations.
    package init(_ name: String, _ type: any FamilyConfiguration.Type) {
      (rawValue, self.type) = (name, type)
    }
  }
}

/// The configuration of the encoders of a family: the fields that all families have, and those of its own.
package protocol FamilyConfiguration: Sendable, Hashable, Codable {
  static var family: EncoderConfiguration.Family { get }
  /// The type and shape of the input.
  var input: EncoderInput { get }
  /// The width of a token or of a layer, or the channels of a ResNet's first layer.
  var width: Int { get set }
  /// The number of blocks of the finished encoder.
  var depth: Int { get set }
  /// The width D of a representation.
  var output: Int { get }
  /// The names and distribution of a classifier's parameters.
  static var classifierConvention: ClassifierConfiguration.Convention { get }

  /// Creates a configuration with the fields that the family shares with another one, and defaults for its own.
  init(sharing other: any FamilyConfiguration)
  /// Returns the configuration of an encoder whose representations are the means of g x g cells of its last map, without
  /// a readout. Families whose features are not a map return themselves.
  func pooled(grid: Int) -> Self
  /// Creates an encoder and adds its parameters to a layout: stem, the blocks of these indices, readout.
  func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder
}

extension FamilyConfiguration {
  package static var classifierConvention: ClassifierConfiguration.Convention { .sequential }
  package func pooled(grid: Int) -> Self { self }
}

/// The configuration of a family whose encoders take images.
package protocol ImageFamilyConfiguration: FamilyConfiguration {
  /// The shape of the images.
  var images: ImageInput { get set }
  /// Creates a configuration with defaults for the family's own fields.
  init(images: ImageInput, width: Int, depth: Int)
}

extension ImageFamilyConfiguration {
  package var input: EncoderInput { .images(images) }

  package init(sharing other: any FamilyConfiguration) {
    let images = (other as? any ImageFamilyConfiguration)?.images ?? ImageInput(side: 32)
    self.init(images: images, width: other.width, depth: other.depth)
  }
}

/// The configuration of a family whose encoders take the features of nodes or rows.
package protocol FeatureFamilyConfiguration: FamilyConfiguration {
  /// The number of features F of a node or row.
  var features: Int { get set }
  /// Creates a configuration with defaults for the family's own fields.
  init(features: Int, width: Int, depth: Int)
}

extension FeatureFamilyConfiguration {
  package init(sharing other: any FamilyConfiguration) {
    let features = (other as? any FeatureFamilyConfiguration)?.features ?? 1
    self.init(features: features, width: other.width, depth: other.depth)
  }
}

extension EncoderConfiguration {
  /// The family. Setting another family keeps the common fields; a transformer then has a single patch and head.
  package var family: Family {
    get { type(of: value).family }
    set {
      guard newValue != family else { return }
      self = EncoderConfiguration(newValue.type.init(sharing: value))
    }
  }

  /// The type and shape of the input.
  package var input: EncoderInput { value.input }

  /// The number of blocks of the finished encoder.
  package var depth: Int {
    get { value.depth }
    set { change { $0.depth = newValue } }
  }

  /// The width of a token or of a layer, or the channels of a ResNet's first layer.
  package var width: Int {
    get { value.width }
    set { change { $0.width = newValue } }
  }

  /// The side of the images in pixels; traps for families without images.
  package var imageSide: Int {
    get { input.images.side }
    set { changeImages { $0.side = newValue } }
  }

  /// The number of colour channels of the images; traps for families without images.
  package var imageChannels: Int {
    get { input.images.channels }
    set { changeImages { $0.channels = newValue } }
  }

  /// The number of features F of a node or row; traps for families of images.
  package var features: Int {
    get { featureValue.features }
    set {
      var value = featureValue
      value.features = newValue
      self = EncoderConfiguration(value)
    }
  }

  private var featureValue: any FeatureFamilyConfiguration {
    guard let value = value as? any FeatureFamilyConfiguration else {
      preconditionFailure("a \(family.rawValue) takes images")
    }
    return value
  }

  /// The width D of a representation.
  package var output: Int { value.output }

  /// The names and distribution of a classifier's parameters.
  package var classifierConvention: ClassifierConfiguration.Convention {
    type(of: value).classifierConvention
  }

  /// Creates an encoder and adds its parameters to a layout: stem, the blocks of these indices, readout.
  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    value.makeEncoder(blocks: blocks, in: &layout)
  }

  /// Returns the configuration of an encoder whose representations are the means of g x g cells of its last map, if it
  /// has one.
  package func pooled(grid: Int) -> Self { Self(value.pooled(grid: grid)) }

  /// The configuration of a vision transformer; traps for other families.
  package var vit: ViTConfiguration {
    get {
      guard let value = value as? ViTConfiguration else {
        preconditionFailure("a \(family.rawValue) has no patches")
      }
      return value
    }
    set { self = EncoderConfiguration(newValue) }
  }

  /// The configuration of a graph convolutional network; traps for other families.
  package var gcn: GraphConvolutionConfiguration {
    get {
      guard let value = value as? GraphConvolutionConfiguration else {
        preconditionFailure("a \(family.rawValue) has no propagation")
      }
      return value
    }
    set { self = EncoderConfiguration(newValue) }
  }

  /// The configuration of a graph attention network; traps for other families.
  package var gat: GraphAttentionConfiguration {
    get {
      guard let value = value as? GraphAttentionConfiguration else {
        preconditionFailure("a \(family.rawValue) has no attention to neighbours")
      }
      return value
    }
    set { self = EncoderConfiguration(newValue) }
  }

  /// The number of attention heads; traps for families without.
  package var heads: Int {
    get { (value as? GraphAttentionConfiguration)?.heads ?? vit.heads }
    set {
      if family == .gat { gat.heads = newValue } else { vit.heads = newValue }
    }
  }

  /// Creates the configuration of a vision transformer.
  package init(
    image: Int, channels: Int = 3, patch: Int, width: Int, depth: Int, heads: Int, mlpRatio: Int = 4
  ) {
    self.init(
      ViTConfiguration(
        images: ImageInput(side: image, channels: channels), patch: patch, width: width, depth: depth,
        heads: heads, mlpRatio: mlpRatio))
  }

  private mutating func change(_ body: (inout any FamilyConfiguration) -> Void) {
    var value = value
    body(&value)
    self = EncoderConfiguration(value)
  }

  private mutating func changeImages(_ body: (inout ImageInput) -> Void) {
    guard var value = value as? any ImageFamilyConfiguration else {
      preconditionFailure("a \(family.rawValue) takes no images")
    }
    body(&value.images)
    self = EncoderConfiguration(value)
  }
}

extension EncoderConfiguration: Hashable {
  package static func == (a: Self, b: Self) -> Bool { AnyHashable(a.value) == AnyHashable(b.value) }
  package func hash(into hasher: inout Hasher) { hasher.combine(AnyHashable(value)) }
}

/// The input of an encoder.
package enum EncoderInput: Sendable, Hashable {
  case images(ImageInput)
  /// The nodes of a graph with this number of features each.
  case nodes(features: Int)
  /// Rows of this number of features each.
  case rows(features: Int)

  /// The number of values of one input.
  package var count: Int {
    switch self {
    case .images(let shape): shape.count
    case .nodes(let features), .rows(let features): features
    }
  }

  /// The shape of the images; traps for another input.
  package var images: ImageInput {
    guard case .images(let shape) = self else { preconditionFailure("an encoder of \(noun)s has no images") }
    return shape
  }

  /// Whether it is images.
  package var isImages: Bool { if case .images = self { true } else { false } }

  /// The word for one input.
  package var noun: String {
    switch self {
    case .images: "image"
    case .nodes: "node"
    case .rows: "row"
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

// MARK: - Coding

/// An object with flat fields: `family`, `image` and `channels` or `features`, `width`, `depth`, and those of the family.
extension EncoderConfiguration: Codable {
  private enum Key: String, CodingKey { case family }

  package init(from decoder: any Swift.Decoder) throws {
    let family = try decoder.container(keyedBy: Key.self).decode(Family.self, forKey: .family)
    self.init(try family.type.init(from: decoder))
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(family, forKey: .family)
    try value.encode(to: encoder)
  }
}

private enum CommonKey: String, CodingKey { case image, channels, features, width, depth }

extension FeatureFamilyConfiguration {
  /// Decodes the fields of all families of nodes or rows; those of its own have defaults.
  package init(commonFieldsOf decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: CommonKey.self)
    self.init(
      features: try values.decode(Int.self, forKey: .features),
      width: try values.decode(Int.self, forKey: .width), depth: try values.decode(Int.self, forKey: .depth))
  }

  package func encodeCommonFields(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: CommonKey.self)
    try values.encode(features, forKey: .features)
    try values.encode(width, forKey: .width)
    try values.encode(depth, forKey: .depth)
  }
}

extension ImageFamilyConfiguration {
  /// Decodes the fields of all families of images; those of its own have defaults.
  package init(commonFieldsOf decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: CommonKey.self)
    self.init(
      images: ImageInput(
        side: try values.decode(Int.self, forKey: .image),
        channels: try values.decode(Int.self, forKey: .channels)),
      width: try values.decode(Int.self, forKey: .width), depth: try values.decode(Int.self, forKey: .depth))
  }

  package func encodeCommonFields(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: CommonKey.self)
    try values.encode(images.side, forKey: .image)
    try values.encode(images.channels, forKey: .channels)
    try values.encode(width, forKey: .width)
    try values.encode(depth, forKey: .depth)
  }
}
