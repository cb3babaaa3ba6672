import Engine
import Federation

/// A graph that computes what an encoder computes, and the parameters behind its operations.
///
/// n images (any number), T tokens, D = width of the representation.
struct EncoderGraph {
  var graph: ONNXGraph
  /// Names of parameters by where they stand in the encoder's layout.
  private let names: [Int: String]

  static let (input, output) = ("image", "representation")

  /// The whole graph of a checkpoint's encoder: images [n, C, H, W], normalised, to representations [n, D].
  init(_ checkpoint: EncoderCheckpoint) {
    let c = checkpoint.configuration
    let images = c.input.images
    graph = ONNXGraph(
      input: .init(name: Self.input, shape: [images.channels, images.side, images.side]),
      output: .init(name: Self.output, shape: [c.output]))
    var layout = Layout()
    let blocks = Array(0..<c.depth)
    let encoder: any Encoder
    let walk: (inout EncoderGraph) -> String
    switch c {
    case .vit(let c):
      let transformer = VisionTransformer(c, blocks: blocks, in: &layout)
      (encoder, walk) = (transformer, { $0.add(transformer, Self.input) })
    case .resnet(let c):
      let network = ResNet(c, blocks: blocks, in: &layout)
      (encoder, walk) = (network, { $0.add(network, Self.input) })
    }
    names = Dictionary(uniqueKeysWithValues: layout.entries.map { ($0.slot.offset, $0.name) })
    for entry in layout.entries {
      guard let tensor = checkpoint.tensors[entry.name] else { preconditionFailure("no \(entry.name)") }
      graph.add(ONNXTensor(name: entry.name, shape: tensor.shape, values: .floats(tensor.values)))
    }
    let pooled = walk(&self)
    graph.scope = "readout"
    let representation = add(encoder.readout, pooled)
    _ = graph.add(.identity, representation, named: Self.output)
  }

  /// The name of a parameter.
  func name(_ slot: Slot) -> String {
    guard let name = names[slot.offset] else { preconditionFailure("no parameter at \(slot.offset)") }
    return name
  }

  /// Names the next operations after the layer that a parameter belongs to.
  mutating func enter(_ slot: Slot) {
    graph.scope = name(slot).split(separator: ".").dropLast().joined(separator: ".")
  }

  /// From what the blocks leave [n, F] to the representation [n, D].
  private mutating func add(_ readout: Readout, _ x: String) -> String {
    switch readout {
    case .norm(let norm): add(norm, x)
    case .linear(let linear): add(linear, x)
    case .identity: x
    }
  }

  /// y = x·Wᵀ + b                                                    x [..., I], y [..., O]
  mutating func add(_ linear: Linear, _ x: String) -> String {
    enter(linear.weight)
    let weight = graph.add(.transpose, name(linear.weight), attributes: [.integers("perm", [1, 0])])
    let product = graph.add(.matMul, x, weight)
    guard let bias = linear.bias else { return product }
    return graph.add(.add, product, name(bias))
  }

  /// Over the last side.                                              x, y [..., D]
  mutating func add(_ norm: LayerNorm, _ x: String) -> String {
    enter(norm.weight)
    return graph.add(
      .layerNormalization, x, name(norm.weight), name(norm.bias),
      attributes: [.integer("axis", -1), .float("epsilon", norm.epsilon)])
  }
}
