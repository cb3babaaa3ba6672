import Engine
import Export
import Federation
import Foundation
import TestSupport
import Testing

/// PyTorch Geometric reads the files of graph networks and gets the engine's logits or outputs; `make interop` runs these
/// tests.
@Suite(
  .serialized, .unhurried,
  .enabled("python3 has no torch_geometric (make interop)") { await Python.hasGeometric })
struct GraphInteropTests {
  /// Widths below and above the number of features, because either is propagated.
  @Test(arguments: [(Propagation.lgcn, 5, 3), (.lgcn, 33, 1), (.mean, 40, 2)])
  func pyTorchGeometricComputesTheSame(kind: Propagation, width: Int, depth: Int) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var configuration = GraphConvolutionConfiguration(features: 20, width: width, depth: depth)
    configuration.propagation = kind
    let checkpoint = EncoderFixture(
      EncoderConfiguration(configuration), classification: .init(classes: .count(4)), seed: seed
    ).checkpoint
    try await withTemporaryFolder { folder in
      try checkpoint.encoded().write(to: folder.appendingPathComponent("encoder.safetensors"))
      try expected(checkpoint, seed: seed).write(to: folder.appendingPathComponent("expected.safetensors"))
      let (code, output) = try await Python.check([folder.path])
      print("GraphInteropTests: seed \(seed)\n\(output)", terminator: "")
      #expect(code == 0 && output.contains("PyTorch Geometric differs"), "seed \(seed): \(output)")
    }
  }

  /// A graph attention network, of which every block's outputs agree.
  @Test(arguments: [(8, 4, true), (48, 3, false)])
  func attentionIsThatOfGATConv(width: Int, heads: Int, skip: Bool) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var configuration = GraphAttentionConfiguration(features: 20, width: width, depth: 3)
    (configuration.heads, configuration.skip) = (heads, skip)
    let checkpoint = EncoderFixture(EncoderConfiguration(configuration), seed: seed).checkpoint
    var layout = Layout()
    let made = checkpoint.configuration.makeEncoder(blocks: [0, 1, 2], in: &layout)
    let encoder = try #require(made as? any NodeEncoder)
    let parameters = Storage(layout)
    checkpoint.write(into: parameters)
    var (file, graph, features) = try Self.example(width: encoder.inputCount, seed: seed)
    var outputs: [Float] = []
    encoder.forEachDepth(StoredValues(features, width: 20), on: graph, parameters, Workers(2)) { _, y in
      outputs += y.array()
    }
    file.add("outputs", .init(shape: [3, graph.count, width], values: outputs))
    try await withTemporaryFolder { folder in
      try checkpoint.encoded().write(to: folder.appendingPathComponent("encoder.safetensors"))
      try file.encoded().write(to: folder.appendingPathComponent("expected.safetensors"))
      let (code, output) = try await Python.check([folder.path])
      print("GraphInteropTests: seed \(seed)\n\(output)", terminator: "")
      #expect(code == 0 && output.contains("PyTorch Geometric differs"), "seed \(seed): \(output)")
    }
  }

  /// A random graph in which some nodes have no neighbours, with the logits of each exit.
  private func expected(_ checkpoint: EncoderCheckpoint, seed: UInt64) throws -> Data {
    let model = try #require(checkpoint.classifier)
    let encoder = try #require(model.encoder as? any NodeEncoder)
    let parameters = Storage(model.layout)
    checkpoint.write(model.layout.entries, into: parameters)
    let width = encoder.inputCount
    var (file, graph, features) = try Self.example(width: width, seed: seed)
    let nodes = graph.count
    var logits: [Float] = []
    encoder.forEachDepth(StoredValues(features, width: width), on: graph, parameters, Workers(2)) {
      depth, y in
      guard let exit = model.allExits.first(where: { $0.depth == depth }) else { return }
      var layout = Layout()
      let plan = Classifier.TracePlan(exit.classifier, rows: nodes, in: &layout)
      let work = Storage(layout)
      exit.classifier.forward(y, plan, rows: 0..<nodes, work, parameters)
      logits += work[plan.logits].array()
    }
    let exits = model.allExits.count
    file.add("logits", .init(shape: [exits, nodes, logits.count / exits / nodes], values: logits))
    return try file.encoded()
  }

  /// A random graph in which some nodes have no neighbours, with features, and a file that has both.
  private static func example(
    width: Int, seed: UInt64
  ) throws -> (file: Safetensors, graph: Graph, features: StorageBox) {
    let nodes = 60
    var random = RandomNumbers(seed, "graph")
    var rows = [Set<Int32>](repeating: [], count: nodes)
    for _ in 0..<100 {
      let (one, other) = (random.below(50), random.below(50))
      guard one != other else { continue }
      rows[one].insert(Int32(other))
      rows[other].insert(Int32(one))
    }
    let graph = Graph(
      starts: rows.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) },
      columns: rows.flatMap { $0.sorted() })
    let features = StorageBox(0..<nodes * width)
    for index in 0..<features.storage.count { features.storage.all[0, index] = random.normal() }
    var file = Safetensors()
    file.add("starts", .init(shape: [nodes + 1], values: graph.starts.map { Float($0) }))
    file.add("columns", .init(shape: [graph.entries], values: graph.columns.map { Float($0) }))
    file.add("features", .init(shape: [nodes, width], values: features.storage.all.array()))
    return (file, graph, features)
  }
}
