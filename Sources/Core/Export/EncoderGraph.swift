import Engine
import Federation
import Foundation

/// The ONNX graph of an encoder and its exits, with their parameters.
///
/// n images (any number), T tokens, D = width of the representation, C classes.
struct EncoderGraph {
  var graph: ONNXGraph
  /// The names of parameters by their offset in the layout of the encoder or of the model with exits.
  private let names: [Int: String]

  static let (input, output) = ("image", "representation")

  /// Creates the graph of a checkpoint: from normalised images [n, C, H, W] to representations [n, D] and, in the file of a
  /// classification, the logits of each exit [n, C].
  ///
  /// Throws ``ExportError`` for a family without a graph.
  init(_ checkpoint: EncoderCheckpoint) throws(ExportError) {
    let c = checkpoint.configuration
    guard case .images(let images) = c.input else { throw .noGraph(family: c.family.rawValue) }
    let model = checkpoint.classifier
    let exits = model?.allExits ?? []
    graph = ONNXGraph(
      input: .init(name: Self.input, shape: [images.channels, images.side, images.side]),
      outputs: [.init(name: Self.output, shape: [c.output])]
        + exits.enumerated().map { .init(name: Self.exit($0), shape: [$1.classifier.classes]) })
    var layout = Layout()
    let encoder = model?.encoder ?? c.makeEncoder(blocks: Array(0..<c.depth), in: &layout)
    guard let graphed = encoder as? any GraphedEncoder else { throw .noGraph(family: c.family.rawValue) }
    let entries = (model?.layout ?? layout).entries
    names = Dictionary(uniqueKeysWithValues: entries.map { ($0.slot.offset, $0.name) })
    for entry in entries {
      guard let tensor = checkpoint.tensors[entry.name] else { preconditionFailure("no \(entry.name)") }
      graph.add(ONNXTensor(name: entry.name, shape: tensor.shape, values: .floats(tensor.values)))
    }
    var x = graphed.addStem(to: &self, Self.input)
    for depth in 1...c.depth {
      x = graphed.addBlock(depth - 1, to: &self, x)
      for (index, exit) in exits.enumerated() where exit.depth == depth {
        add(exit, Self.exit(index), of: graphed, x)
      }
    }
    graph.scope = "pool"
    let pooled = graphed.addPooling(to: &self, x)
    graph.scope = "readout"
    let representation = add(encoder.readout, pooled)
    _ = graph.add(.identity, representation, named: Self.output)
  }

  /// Returns the output's name of an exit, counted from 0.
  private static func exit(_ index: Int) -> String { "exit_\(index + 1)" }

  /// Adds an exit, from the features after its blocks to its logits [n, C].
  private mutating func add(_ exit: Exit, _ name: String, of encoder: any GraphedEncoder, _ x: String) {
    graph.scope = name
    var y = add(exit.readout, encoder.addPooling(to: &self, x, behind: exit.depth))
    for (index, layer) in exit.classifier.layers.enumerated() {
      if index > 0 { y = graph.add(.relu, y) }
      y = add(layer, y)
    }
    _ = graph.add(.identity, y, named: name)
  }

  /// Returns the name of a parameter.
  func name(_ slot: Slot) -> String {
    guard let name = names[slot.offset] else { preconditionFailure("no parameter at \(slot.offset)") }
    return name
  }

  /// Names the next operations after the layer of a parameter.
  mutating func enter(_ slot: Slot) {
    graph.scope = name(slot).split(separator: ".").dropLast().joined(separator: ".")
  }

  /// Adds a readout, from the output of the blocks [n, F] to the representation [n, D].
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

  /// Normalises over the last axis.                                    x, y [..., D]
  mutating func add(_ norm: LayerNorm, _ x: String) -> String {
    enter(norm.weight)
    return graph.add(
      .layerNormalization, x, name(norm.weight), name(norm.bias),
      attributes: [.integer("axis", -1), .float("epsilon", norm.epsilon)])
  }
}

/// An encoder with an ONNX graph.
protocol GraphedEncoder: Encoder {
  /// Adds the nodes from images [n, C, H, W] to the features behind the stem. Returns the name of their output, as do the
  /// others.
  func addStem(to graph: inout EncoderGraph, _ images: String) -> String
  /// Adds the nodes of the block at a position, from features to features.
  func addBlock(_ position: Int, to graph: inout EncoderGraph, _ x: String) -> String
  /// Adds the nodes from the last block's features to the pooled features of the representation [n, F].
  func addPooling(to graph: inout EncoderGraph, _ x: String) -> String
  /// Adds the nodes from the features after `depth` blocks to the pooled features of an exit [n, F].
  func addPooling(to graph: inout EncoderGraph, _ x: String, behind depth: Int) -> String
}

extension VisionTransformer: GraphedEncoder {
  func addStem(to graph: inout EncoderGraph, _ images: String) -> String { graph.add(stem, images) }

  func addBlock(_ position: Int, to graph: inout EncoderGraph, _ x: String) -> String {
    graph.add(layers[position], x)
  }

  func addPooling(to graph: inout EncoderGraph, _ x: String) -> String { graph.addClassToken(x) }

  func addPooling(to graph: inout EncoderGraph, _ x: String, behind depth: Int) -> String {
    graph.addClassToken(x)
  }
}

extension ResNet: GraphedEncoder {
  func addStem(to graph: inout EncoderGraph, _ images: String) -> String { graph.addStem(stem, images) }

  func addBlock(_ position: Int, to graph: inout EncoderGraph, _ x: String) -> String {
    layers[position].reduce(x) { graph.add($1, $0) }
  }

  func addPooling(to graph: inout EncoderGraph, _ x: String) -> String { graph.addMeans(x) }

  func addPooling(to graph: inout EncoderGraph, _ x: String, behind depth: Int) -> String {
    let pooling = pooling(behind: depth)
    return pooling.grid == 1 ? graph.addMeans(x) : graph.addMeans(x, cell: pooling.side / pooling.grid)
  }
}

/// The forward pass of a vision transformer from images to class tokens (arXiv 2010.11929), in the order of timm.
///
/// n images (any number), P patches, T = 1 + P tokens, D = width, H heads of d = D / H, M = hidden width.
extension EncoderGraph {
  /// Adds the selection of the class tokens [n, D] from x [n, T, D].
  fileprivate mutating func addClassToken(_ x: String) -> String {
    graph.add(.gather, x, graph.index(0), attributes: [.integer("axis", 1)])
  }

  /// Adds a patch embedding, from images [n, C, H, W] to tokens [n, T, D].
  fileprivate mutating func add(_ stem: PatchEmbedding, _ images: String) -> String {
    let c = stem.configuration
    enter(stem.projection.weight)
    guard let bias = stem.projection.bias else { preconditionFailure("a patch projection without bias") }
    let sides = [c.patch, c.patch]
    let grid = graph.add(
      .conv, images, name(stem.projection.weight), name(bias),
      attributes: [.integers("kernel_shape", sides), .integers("strides", sides)])
    let columns = graph.add(.reshape, grid, graph.shape(0, c.width, c.patches))
    let patches = graph.add(.transpose, columns, attributes: [.integers("perm", [0, 2, 1])])
    graph.scope = "tokens"
    let batch = graph.add(.shape, images, attributes: [.integer("start", 0), .integer("end", 1)])
    let sizes = graph.add(.concat, batch, graph.shape(1, c.width), attributes: [.integer("axis", 0)])
    let classTokens = graph.add(.expand, name(stem.classToken), sizes)
    let tokens = graph.add(.concat, classTokens, patches, attributes: [.integer("axis", 1)])
    return graph.add(.add, tokens, name(stem.positions))
  }

  /// x + attention(norm1(x)), then x + mlp(norm2(x)).                 x [n, T, D]
  fileprivate mutating func add(_ block: EncoderBlock, _ x: String) -> String {
    let attended = add(block.attention, add(block.norm1, x))
    let middle = graph.add(.add, x, attended)
    let fed = add(block.feedForward, add(block.norm2, middle))
    return graph.add(.add, middle, fed)
  }

  /// proj(softmax(q·kᵀ / √d)·v), heads concatenated.                  x [n, T, D]
  private mutating func add(_ attention: Attention, _ x: String) -> String {
    let (tokens, width, heads) = (attention.tokens, attention.width, attention.heads)
    let size = width / heads
    let qkv = graph.add(.reshape, add(attention.qkv, x), graph.shape(0, tokens, 3, heads, size))
    let parts = graph.add(.transpose, qkv, attributes: [.integers("perm", [2, 0, 3, 1, 4])])
    func part(_ number: Int, _ graph: inout ONNXGraph) -> String {
      graph.add(.gather, parts, graph.index(number), attributes: [.integer("axis", 0)])
    }
    let (q, k, v) = (part(0, &graph), part(1, &graph), part(2, &graph))
    let keys = graph.add(.transpose, k, attributes: [.integers("perm", [0, 1, 3, 2])])
    let products = graph.add(.matMul, q, keys)
    let scores = graph.add(.mul, products, graph.constant(1 / Float(size).squareRoot()))
    let weights = graph.add(.softmax, scores, attributes: [.integer("axis", -1)])
    let mixed = graph.add(.matMul, weights, v)
    let beside = graph.add(.transpose, mixed, attributes: [.integers("perm", [0, 2, 1, 3])])
    return add(attention.projection, graph.add(.reshape, beside, graph.shape(0, tokens, width)))
  }

  /// fc2(GELU(fc1(x))), GELU(h) = h·(1 + erf(h / √2)) / 2 (arXiv 1606.08415); opset 17 has no operator for it.
  ///                                                                  x [n, T, D], h [n, T, M]
  private mutating func add(_ feedForward: FeedForward, _ x: String) -> String {
    let hidden = add(feedForward.fc1, x)
    let ratio = graph.add(.div, hidden, graph.constant(Float(2).squareRoot()))
    let error = graph.add(.erf, ratio)
    let sum = graph.add(.add, error, graph.constant(1))
    let product = graph.add(.mul, hidden, sum)
    return add(feedForward.fc2, graph.add(.mul, product, graph.constant(0.5)))
  }
}

/// The forward pass of a ResNet from images to the channel means of its last layer (arXiv 1512.03385), with running
/// statistics.
///
/// n images (any number), C channels, H = side.
extension EncoderGraph {
  /// Adds the stem, from images [n, C, H, H] to a map.
  fileprivate mutating func addStem(_ stem: BasicBlock.Unit, _ images: String) -> String {
    relu(add(stem, images))
  }

  /// Adds the means of the channels of a map [n, F].
  fileprivate mutating func addMeans(_ x: String) -> String {
    graph.add(.flatten, graph.add(.globalAveragePool, x))
  }

  /// Adds the means of the cells of cell x cell pixels of each channel [n, F·g²], row by row.
  fileprivate mutating func addMeans(_ x: String, cell: Int) -> String {
    let sides = [cell, cell]
    return graph.add(
      .flatten,
      graph.add(
        .averagePool, x, attributes: [.integers("kernel_shape", sides), .integers("strides", sides)]))
  }

  /// relu(second(relu(first(x))) + shortcut(x)).
  fileprivate mutating func add(_ block: BasicBlock, _ x: String) -> String {
    let middle = relu(add(block.first, x))
    let y = add(block.second, middle)
    var shortcut = x
    if let unit = block.shortcut { shortcut = add(unit, x) }
    return relu(graph.add(.add, y, shortcut))
  }

  private mutating func relu(_ x: String) -> String { graph.add(.relu, x) }

  /// Adds a convolution and its normalisation.
  private mutating func add(_ unit: BasicBlock.Unit, _ x: String) -> String {
    let (convolution, norm) = (unit.convolution, unit.norm)
    enter(convolution.weight)
    let y = graph.add(
      .conv, x, name(convolution.weight),
      attributes: [
        .integers("kernel_shape", [convolution.kernel, convolution.kernel]),
        .integers("strides", [convolution.stride, convolution.stride]),
        .integers("pads", Array(repeating: convolution.kernel / 2, count: 4)),
      ])
    enter(norm.weight)
    return graph.add(
      .batchNormalization, y, name(norm.weight), name(norm.bias), name(norm.runningMean),
      name(norm.runningVariance), attributes: [.float("epsilon", ChannelNorm.epsilon)])
  }
}

extension EncoderCheckpoint {
  /// Returns the encoder as an ONNX file of opset 17: from `image` [n, C, H, W], normalised as in the metadata, to
  /// `representation` [n, D] and, for a classification, the logits `exit_1` … [n, C] of its exits, for any n. Weights
  /// keep their names.
  ///
  /// Throws ``ExportError`` if the file would exceed the maximum size, or the encoder's family has no ONNX graph.
  package func onnx() throws -> Data {
    let bytes = (classifier?.layout ?? layout).count * MemoryLayout<Float>.stride
    guard bytes <= Self.mostBytes else { throw ExportError.tooLarge(bytes: bytes) }
    let model = ONNXModel(
      graph: try EncoderGraph(self).graph, name: origin?.plan ?? "encoder", producer: "strata",
      producerVersion: Software.version, metadata: try metadata())
    return model.encoded()
  }

  /// The maximum size of the weights. A protobuf message has less than 2 GiB, part of which the graph and names use.
  private static let mostBytes = (1 << 31) - (1 << 24)
}

/// The reason why an encoder cannot be exported.
package enum ExportError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The weights exceed the size of an ONNX file.
  case tooLarge(bytes: Int)
  /// The encoder's family has no ONNX graph.
  case noGraph(family: String)

  package var description: String {
    switch self {
    case .tooLarge(let bytes):
      "its weights are \(bytes) bytes, and an ONNX file holds less than 2 GiB; safetensors has no such limit"
    case .noGraph(let family):
      "the encoder is a \(family), which has no ONNX graph; safetensors holds any encoder"
    }
  }
}
