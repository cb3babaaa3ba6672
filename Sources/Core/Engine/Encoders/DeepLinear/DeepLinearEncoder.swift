/// The configuration of a deep linear network.
package struct DeepLinearConfiguration: Sendable, Hashable {
  /// The number of inputs n_0 of a row.
  package var features: Int
  /// The number of outputs n_L: the targets of a row.
  package var outputs = 1
  /// The width between the matrices.
  package var width: Int
  /// The number of matrices L.
  package var depth: Int
  package var start = DeepLinearStart.orthogonal

  package init(features: Int, width: Int, depth: Int) {
    (self.features, self.width, self.depth) = (features, width, depth)
  }

  package var shape: DeepLinearShape {
    DeepLinearShape(inputs: features, outputs: outputs, width: width, depth: depth)
  }
}

extension EncoderConfiguration.Family {
  /// A deep linear network in float64 (arXiv 1910.05874).
  package static let linear = Self("linear", DeepLinearConfiguration.self)
}

extension DeepLinearConfiguration: FeatureFamilyConfiguration {
  package static let family = EncoderConfiguration.Family.linear
  package var input: EncoderInput { .rows(features: features) }
  package var output: Int { outputs }

  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    DeepLinearEncoder(self, blocks: blocks, in: &layout)
  }

  private enum Key: String, CodingKey { case outputs, start }

  package init(from decoder: any Swift.Decoder) throws {
    try self.init(commonFieldsOf: decoder)
    let values = try decoder.container(keyedBy: Key.self)
    outputs = try values.decode(Int.self, forKey: .outputs)
    start = try values.decode(DeepLinearStart.self, forKey: .start)
  }

  package func encode(to encoder: any Swift.Encoder) throws {
    try encodeCommonFields(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(outputs, forKey: .outputs)
    try values.encode(start, forKey: .start)
  }
}

extension EncoderConfiguration {
  /// The configuration of a deep linear network; traps for other families.
  package var linear: DeepLinearConfiguration {
    get {
      guard let value = value as? DeepLinearConfiguration else {
        preconditionFailure("a \(family.rawValue) is no deep linear network")
      }
      return value
    }
    set { self = EncoderConfiguration(newValue) }
  }
}

/// A deep linear network as an encoder of rows: block I has W [outputs, inputs] as ``FloatPairs``, the higher floats in
/// `layers.I.weight`, the lower ones in `layers.I.weight.low`.
///
/// It has no stem and no readout; its representation of a row is f(x) [n_L]. It trains by exact steps
/// (``DeepLinearNetwork``) and not by gradients of float32, so it has no pass.
package struct DeepLinearEncoder: Encoder {
  package let configuration: DeepLinearConfiguration
  package let blocks: [Int]
  /// The slots of each block's pairs.
  let weights: [(high: Slot, low: Slot)]

  package init(_ configuration: DeepLinearConfiguration, blocks: [Int], in layout: inout Layout) {
    precondition(blocks == Array(0..<configuration.depth), "blocks \(blocks) of \(configuration.depth)")
    (self.configuration, self.blocks) = (configuration, blocks)
    var weights: [(high: Slot, low: Slot)] = []
    for block in blocks {
      let (rows, columns) = configuration.shape.matrix(block)
      layout.part = "blocks.\(block)"
      weights.append(
        (
          layout.add("layers.\(block).weight", rows, columns),
          layout.add("layers.\(block).weight.low", rows, columns)
        ))
    }
    self.weights = weights
  }

  package var shape: DeepLinearShape { configuration.shape }
  package var pooledWidth: Int { shape.outputs }
  package var output: Int { shape.outputs }
  package var inputCount: Int { shape.inputs }
  package var readout: Readout { .identity }
  package func featureSize(behind depth: Int) -> Int { shape.widths[depth] }
  package func pooledWidth(behind depth: Int) -> Int { shape.widths[depth] }
  package func output(behind depth: Int) -> Int { shape.widths[depth] }

  package func makeReadout(_ name: String, behind depth: Int, in layout: inout Layout) -> Readout {
    .identity
  }

  package var operations: EncoderOperations {
    let blocks = weights.map { 2 * $0.high.count }
    return EncoderOperations(stem: 0, blocks: blocks, lastBlock: blocks.last ?? 0, readout: 0)
  }

  /// The matrices are drawn as wholes (``initialise(_:seed:)``).
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution { .constant(0) }

  package func initialise(_ parameters: borrowing Storage, seed: UInt64) {
    let network = DeepLinearNetwork(shape)
    network.draw(configuration.start, seed: seed)
    for block in blocks { write(network.weight(block), of: block, into: parameters) }
  }

  /// Returns the network whose matrices are in a storage of the encoder's layout.
  package func network(_ parameters: borrowing Storage) -> DeepLinearNetwork {
    let network = DeepLinearNetwork(shape)
    for block in blocks {
      let (high, low) = (parameters[weights[block].high], parameters[weights[block].low])
      network.setWeight(block, (0..<high.count).map { FloatPairs.join(high.start[$0], low.start[$0]) })
    }
    return network
  }

  /// Writes the matrix of a block, in order of the rows.
  package func write(_ values: [Double], of block: Int, into parameters: borrowing Storage) {
    let (high, low) = (parameters[weights[block].high], parameters[weights[block].low])
    precondition(values.count == high.count, "\(values.count) values for block \(block)")
    for (index, value) in values.enumerated() {
      (high.start[index], low.start[index]) = FloatPairs.split(value)
    }
  }

  package func makePass(_ settings: PassSettings, workers: Workers) -> any EncoderPass {
    preconditionFailure("a deep linear network trains by exact steps")
  }

  package func passMemory(_ settings: PassSettings, workers: Int) -> [(name: String, bytes: Int)] { [] }
  package func makeRunner(chunk: Int) -> any EncoderRunner { DeepLinearRunner(self, chunk: chunk) }
  package func runnerMemory(chunk: Int) -> Int { DeepLinearRunner.layout(self, chunk: chunk).layout.bytes }
}

/// The network in float32 for a chunk of rows, with the higher floats of its weights.
final class DeepLinearRunner: EncoderRunner {
  private let encoder: DeepLinearEncoder
  private let storage: Storage
  /// The features behind each depth.
  private let features: [Slot]

  static func layout(_ encoder: DeepLinearEncoder, chunk: Int) -> (layout: Layout, features: [Slot]) {
    var layout = Layout(alignment: 16)
    let features = encoder.shape.widths.map { layout.add("features", chunk, $0) }
    return (layout, features)
  }

  init(_ encoder: DeepLinearEncoder, chunk: Int) {
    let (layout, features) = Self.layout(encoder, chunk: chunk)
    (self.encoder, self.features) = (encoder, features)
    storage = Storage(layout)
  }

  func begin(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let inputs = features(count, behind: 0)
    for index in 0..<count { image(index, inputs.row(index)) }
  }

  func features(_ count: Int, behind depth: Int) -> Matrix { storage[features[depth]].rows(0..<count) }

  func advance(_ count: Int, from start: Int, to end: Int, _ parameters: borrowing Storage) {
    for block in start..<max(end, start) {
      Products.product(
        features(count, behind: block), parameters[encoder.weights[block].high].transposed,
        into: features(count, behind: block + 1))
    }
  }

  func represent(_ count: Int, from start: Int, into rows: Matrix, _ parameters: borrowing Storage) {
    advance(count, from: start, to: encoder.shape.depth, parameters)
    pool(count, behind: encoder.shape.depth, into: rows)
  }

  func pool(_ count: Int, behind depth: Int, into rows: Matrix) {
    Elementwise.copy(features(count, behind: depth), to: rows)
  }
}
