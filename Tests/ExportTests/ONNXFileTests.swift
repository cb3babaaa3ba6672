import Engine
import Export
import Federation
import Foundation
import Testing

/// Parses an ONNX file by the field numbers of onnx.proto.
@Suite struct ONNXFileTests {
  private static let encoders: [(EncoderConfiguration, depth: Int)] = [
    (EncoderFixture.vit, 3), (EncoderFixture.vit, 1), (EncoderFixture.resnet, 4), (EncoderFixture.resnet, 2),
  ]

  /// Encoders with exits, whose classifiers are linear or have a hidden layer, and read means or a grid.
  private static let classifications: [(EncoderConfiguration, Plan.Classification)] = [
    (EncoderFixture.vit, .init(classes: .names(["cat", "dog", "cow"]))),
    (EncoderFixture.vit, .init(classes: .count(4), hidden: 5)),
    (EncoderFixture.resnet, .init(classes: .count(4))),
    (EncoderFixture.resnet, .init(classes: .count(4), hidden: 5, grid: 2)),
  ]

  private func graph(_ checkpoint: EncoderCheckpoint) throws -> (ProtobufReader, ProtobufReader) {
    let model = try ProtobufReader(checkpoint.onnx())
    return (model, try #require(try model.messages(7).first))
  }

  @Test(arguments: encoders) func itSaysWhatItIs(encoder: EncoderConfiguration, depth: Int) throws {
    let checkpoint = EncoderFixture(encoder, depth: depth, seed: 3).checkpoint
    let (model, graph) = try graph(checkpoint)
    #expect(model.integers(1) == [8] && model.texts(2) == ["strata"] && model.texts(3) == [Software.version])
    let opset = try #require(try model.messages(8).first)
    #expect(opset.texts(1) == [""] && opset.integers(2) == [17] && model.bytes(8).count == 1)
    let texts = try model.messages(14).map { ($0.texts(1)[0], $0.texts(2)[0]) }
    #expect(Dictionary(uniqueKeysWithValues: texts) == (try checkpoint.metadata()))
    #expect(texts.contains { $0 == ("strata.stage", "\(depth)") })
    #expect(graph.texts(2) == ["fixture"])
    let sides = [encoder.imageChannels, encoder.imageSide, encoder.imageSide]
    try expectPort(graph.messages(11), "image", sides)
    try expectPort(graph.messages(12), "representation", [encoder.output])
  }

  @Test(arguments: classifications)
  func eachExitIsAnOutput(encoder: EncoderConfiguration, classification: Plan.Classification) throws {
    let checkpoint = EncoderFixture(encoder, classification: classification, seed: 9).checkpoint
    let (model, graph) = try graph(checkpoint)
    let outputs = try graph.messages(12)
    #expect(outputs.count == 1 + encoder.depth)
    try expectPort([outputs[0]], "representation", [checkpoint.configuration.output])
    for (index, output) in outputs.dropFirst().enumerated() {
      try expectPort([output], "exit_\(index + 1)", [classification.classes.count])
    }
    let texts = try model.messages(14).map { ($0.texts(1)[0], $0.texts(2)[0]) }
    let exits = texts.first { $0.0 == "strata.exits" }?.1
    #expect(
      exits?.contains("\"depths\":[\((1...encoder.depth).map(String.init).joined(separator: ","))]") == true)
    if case .names = classification.classes {
      #expect(exits?.contains(#""classes":["cat","dog","cow"]"#) == true)
    }
    try expectOrder(graph, outputs: Set(outputs.flatMap { $0.texts(1) }))
  }

  /// Expects a float tensor whose first dimension is dynamic.
  private func expectPort(_ ports: [ProtobufReader], _ name: String, _ shape: [Int]) throws {
    let port = try #require(ports.first)
    #expect(ports.count == 1 && port.texts(1) == [name])
    let tensor = try #require(try port.messages(2).first?.messages(1).first)
    #expect(tensor.integers(1) == [1])
    let sides = try #require(try tensor.messages(2).first?.messages(1))
    #expect(sides.first?.texts(2) == ["batch"] && sides.first?.integers(1) == [])
    #expect(sides.dropFirst().flatMap { $0.integers(1) } == shape)
  }

  /// Every weight is stored once, under its name, bit for bit.
  @Test(arguments: encoders) func weightsAreTheCheckpoints(encoder: EncoderConfiguration, depth: Int) throws {
    let checkpoint = EncoderFixture(encoder, depth: depth, seed: 4).checkpoint
    let (_, graph) = try graph(checkpoint)
    var weights: [String: ProtobufReader] = [:]
    for tensor in try graph.messages(5) {
      let elements = tensor.integers(1).reduce(1, *)
      let size = tensor.integers(2) == [1] ? 4 : 8
      #expect(tensor.bytes(9)[0].count == elements * size, "\(tensor.texts(8))")
      #expect(weights.updateValue(tensor, forKey: tensor.texts(8)[0]) == nil)
    }
    for entry in checkpoint.layout.entries {
      let tensor = try #require(weights[entry.name], "\(entry.name)")
      let values = try #require(checkpoint.tensors[entry.name]?.values)
      #expect(tensor.integers(1) == entry.shape && tensor.integers(2) == [1])
      #expect(tensor.bytes(9)[0] == values.withUnsafeBytes { Data($0) })
    }
  }

  /// The inputs of a node exist before it, every value is produced once and used, and all operators are in opset 17.
  @Test(arguments: encoders) func nodesFollowEachOther(encoder: EncoderConfiguration, depth: Int) throws {
    let (_, graph) = try graph(EncoderFixture(encoder, depth: depth, seed: 5).checkpoint)
    try expectOrder(graph, outputs: ["representation"])
  }

  private func expectOrder(_ graph: ProtobufReader, outputs: Set<String>) throws {
    var there = Set(try graph.messages(5).flatMap { $0.texts(8) } + ["image"])
    var unused = there
    for node in try graph.messages(1) {
      for input in node.texts(1) {
        #expect(there.contains(input), "\(node.texts(3)) takes \(input)")
        unused.remove(input)
      }
      #expect(node.texts(2).count == 1)
      for output in node.texts(2) {
        #expect(there.insert(output).inserted, "\(output) twice")
        unused.insert(output)
      }
    }
    #expect(unused == outputs)
  }

  @Test func aTransformersOperationsAreThosePerBlock() throws {
    let counts = { (depth: Int) throws -> [String: Int] in
      let (_, graph) = try graph(EncoderFixture(EncoderFixture.vit, depth: depth, seed: 6).checkpoint)
      return try graph.messages(1).reduce(into: [:]) { $0[$1.texts(4)[0], default: 0] += 1 }
    }
    let (one, three) = (try counts(1), try counts(3))
    let block = [
      "LayerNormalization": 2, "MatMul": 6, "Softmax": 1, "Erf": 1, "Reshape": 2, "Gather": 3, "Add": 7,
      "Transpose": 7, "Mul": 3, "Div": 1,
    ]
    for (name, count) in block {
      #expect(three[name, default: 0] - one[name, default: 0] == 2 * count, "\(name)")
    }
    #expect(one["LayerNormalization"] == 3 && one["Conv"] == 1)
    #expect(Set(one.keys) == Set(three.keys))
  }

  /// Returns an attribute of every node with an operator.
  private func attributes(_ name: String, of operation: String, in graph: ProtobufReader) throws
    -> [ProtobufReader]
  {
    try graph.messages(1).filter { $0.texts(4) == [operation] }.flatMap { try $0.messages(5) }
      .filter { $0.texts(1) == [name] }
  }

  @Test func normalisationsHaveTheEnginesEpsilon() throws {
    let (_, vit) = try graph(EncoderFixture(EncoderFixture.vit, seed: 7).checkpoint)
    let epsilons = try attributes("epsilon", of: "LayerNormalization", in: vit)
    #expect(epsilons.count == 7 && epsilons.allSatisfy { $0.floats(2) == [1e-6] && $0.integers(20) == [1] })
    let (_, resnet) = try graph(EncoderFixture(EncoderFixture.resnet, seed: 7).checkpoint)
    let others = try attributes("epsilon", of: "BatchNormalization", in: resnet)
    #expect(others.count == 20 && others.allSatisfy { $0.floats(2) == [1e-5] })
    let pads = try attributes("pads", of: "Conv", in: resnet)
    #expect(pads.filter { $0.integers(8) == [1, 1, 1, 1] }.count == 17)
    #expect(pads.filter { $0.integers(8) == [0, 0, 0, 0] }.count == 3, "shortcuts")
  }

  @Test func theSameEncoderIsTheSameFile() throws {
    let (one, other) = (
      EncoderFixture(EncoderFixture.vit, seed: 8), EncoderFixture(EncoderFixture.vit, seed: 8)
    )
    #expect(try one.checkpoint.onnx() == other.checkpoint.onnx())
  }

  /// No memory is allocated for a file that is too large.
  @Test func moreThanAFileHoldsIsRejected() {
    let error = ExportError.tooLarge(bytes: 1 << 32)
    #expect(error.description.contains("4294967296 bytes") && error.description.contains("2 GiB"))
  }

  /// Nodes need their graph, which an ONNX file does not have.
  @Test func noGraphIsAnONNXGraph() throws {
    let checkpoint = EncoderFixture(
      EncoderConfiguration(GraphConvolutionConfiguration(features: 4, width: 3, depth: 2)),
      classification: .init(classes: .count(2)), seed: 1
    ).checkpoint
    #expect(throws: ExportError.noGraph(family: "gcn")) { try checkpoint.onnx() }
  }
}
