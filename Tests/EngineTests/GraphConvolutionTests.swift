import Engine
import Foundation
import Testing

/// Values that are not stored as a matrix.
private struct ComputedValues: NodeValues {
  let stored: StoredValues
  var count: Int { stored.count }
  var width: Int { stored.width }
  func forEach(of node: Int, _ body: (_ column: Int, _ value: Float) -> Void) {
    stored.forEach(of: node, body)
  }
  func write(_ node: Int, into place: UnsafeMutablePointer<Float>) { stored.write(node, into: place) }
  func add(_ node: Int, scale: Float, to place: UnsafeMutablePointer<Float>) {
    stored.add(node, scale: scale, to: place)
  }
}

/// L-GCN on a small graph with labels.
private struct MadeNodes {
  let graph: Graph
  let labels: [Int]
  let features: StorageBox
  static let (inputs, width, classes) = (7, 6, 3)

  /// - Parameter zeros: the share of features that are 0.
  init(seed: UInt64, nodes: Int = 30, zeros: Float = 0) {
    graph = RandomGraph.undirected(nodes, edges: 2 * nodes, seed: seed)
    labels = (0..<nodes).map { $0 % Self.classes }
    features = StorageBox(0..<nodes * Self.inputs)
    var random = RandomNumbers(seed, "features")
    features.storage.all.draw(&random)
    for index in 0..<features.storage.count where random.uniform() < zeros {
      features.storage.all[0, index] = 0
    }
  }

  var values: StoredValues { StoredValues(features, width: Self.inputs) }

  static func configuration(_ kind: Propagation, depth: Int = 3) -> EncoderConfiguration {
    var configuration = GraphConvolutionConfiguration(features: inputs, width: width, depth: depth)
    configuration.propagation = kind
    return EncoderConfiguration(configuration)
  }

  static func stage(_ strategy: Strategy, _ index: Int, _ kind: Propagation = .lgcn) -> Stage {
    Stage(
      strategy, index: index, configuration(kind),
      objective: .classification(ClassifierConfiguration(classes: classes, convention: .graph)))
  }

  /// Returns a trainer with random parameters whose rate is 0 unless a step has one.
  func trainer(_ stage: Stage, batch: Int, workers: Int = 2, seed: UInt64) -> Trainer {
    var options = TrainingOptions(
      batch: batch, epochs: 2, weightDecay: 0, schedule: LearningRateSchedule(rate: 1e-2))
    options.nodes = graph.count
    let trainer = Trainer(stage, options, workers: Workers(workers))
    Initialisation.random(stage.model, into: trainer.parameters, seed: seed)
    // Larger weights make larger gradients, of which rounding is a smaller part.
    for index in 0..<trainer.parameters.count { trainer.parameters.all[0, index] *= 2 }
    trainer.begin()
    return trainer
  }

  /// Returns the rows of a stage: every node, behind the frozen blocks.
  func rows(_ stage: Stage, _ parameters: borrowing Storage) throws -> any RowSource {
    let encoder = try #require(stage.model.encoder as? GraphConvolutionNetwork)
    var prefix = NodePrefix(graph, features: values)
    prefix.freeze(to: stage.prefixDepth, of: encoder, parameters, Workers(2))
    return prefix.rows(of: Array(0..<graph.count), labels: labels, for: encoder, Workers(2))
  }
}

@Suite struct GraphConvolutionTests {
  /// Strategy and stage: row by row, and on the whole graph with and without a frozen block below.
  private static let stages: [(Strategy, Int)] = [
    (.layerWise, 1), (.layerWise, 3), (.progressive, 2), (.endToEnd, 1),
  ]

  @Test(arguments: stages, Propagation.allCases) func aStepHasItsGradients(
    _ which: (strategy: Strategy, index: Int), kind: Propagation
  ) throws {
    // Few nodes have few ReLUs that could be close to their kinks.
    let nodes = MadeNodes(seed: 311, nodes: 12)
    let stage = MadeNodes.stage(which.strategy, which.index, kind)
    let trainer = nodes.trainer(stage, batch: 9, seed: 312)
    let rows = try nodes.rows(stage, trainer.parameters)
    _ = trainer.step(on: rows)
    let slots = stage.entries.map {
      Differentiable($0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array())
    }
    #expect(slots.count == (which.strategy == .layerWise ? 2 : stage.model.depth + 1))
    FiniteDifferences(seed: 313, tolerance: 0.02).expect(slots) { Double(trainer.step(on: rows)) }
  }

  /// Two layers a stage train on the whole graph, above a frozen one.
  @Test func layersAboveAFrozenOneHaveTheirGradients() throws {
    let nodes = MadeNodes(seed: 314, nodes: 12)
    let stage = Stage(
      index: 2, Stage.Content(blocks: [0, 1, 2], training: [1, 2], stem: false),
      MadeNodes.configuration(.lgcn),
      objective: .classification(ClassifierConfiguration(classes: MadeNodes.classes, convention: .graph)))
    let trainer = nodes.trainer(stage, batch: 9, seed: 315)
    let rows = try nodes.rows(stage, trainer.parameters)
    _ = trainer.step(on: rows)
    let slots = stage.entries.map {
      Differentiable($0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array())
    }
    FiniteDifferences(seed: 316, tolerance: 0.02).expect(slots) { Double(trainer.step(on: rows)) }
  }

  /// Features of which few are not 0 are kept compressed, and a step has the gradients of complete rows.
  @Test(arguments: [(Strategy.layerWise, 1), (.endToEnd, 1)]) func compressedRowsHaveTheSameGradients(
    _ which: (strategy: Strategy, index: Int)
  ) throws {
    let nodes = MadeNodes(seed: 328, nodes: 600, zeros: 0.98)
    let stage = MadeNodes.stage(which.strategy, which.index)
    let trainers = [1, 2].map { nodes.trainer(stage, batch: 301, workers: $0, seed: 329) }
    let rows = try nodes.rows(stage, trainers[0].parameters)
    let inputs = try #require((rows as? PropagatedRows)?.inputs)
    guard case .compressed = inputs else {
      Issue.record("rows are not compressed")
      return
    }
    let losses = trainers.map { $0.step(on: rows) }
    #expect(losses[0] == losses[1])
    for entry in stage.entries {
      #expect(trainers[0].gradient(entry.slot).bits == trainers[1].gradient(entry.slot).bits, "\(entry.name)")
    }
    // Without its type, the source has complete rows, one layer of which a step computes.
    let single = MadeNodes.stage(.layerWise, 1)
    let (compressed, complete) = (
      nodes.trainer(single, batch: 301, seed: 330), nodes.trainer(single, batch: 301, seed: 330)
    )
    let source = try nodes.rows(single, compressed.parameters)
    let terms = (
      compressed.step(on: source), complete.step(on: LabelledRows(source, labels: nodes.labels))
    )
    #expect(abs(terms.0 - terms.1) < 1e-5)
    for entry in single.entries {
      for (a, b) in zip(compressed.gradient(entry.slot).array(), complete.gradient(entry.slot).array()) {
        #expect(abs(a - b) < 1e-5, "\(entry.name), seeds 328 and 330")
      }
    }
    FiniteDifferences(seed: 331, tolerance: 0.05).expect(
      single.entries.map {
        Differentiable(
          $0.name, compressed.parameters[$0.slot], gradient: compressed.gradient($0.slot).array())
      }
    ) { Double(compressed.step(on: source)) }
  }

  @Test(arguments: stages) func workersDoNotChangeABit(_ which: (strategy: Strategy, index: Int)) throws {
    let nodes = MadeNodes(seed: 317, nodes: 1500)
    let stage = MadeNodes.stage(which.strategy, which.index)
    let results = try [1, 2, 3].map { workers in
      let trainer = nodes.trainer(stage, batch: 501, workers: workers, seed: 318)
      let summary = trainer.train(try nodes.rows(stage, trainer.parameters), seed: 319)
      #expect(summary.steps == 4)
      return trainer.parameters.all.bits
    }
    #expect(results[1] == results[0] && results[2] == results[0], "seeds 317 to 319")
  }

  /// A step of the only layer is the same on the rows and on the whole graph.
  @Test func aStepOnTheGraphIsTheSameAsOnRows() throws {
    let nodes = MadeNodes(seed: 320)
    let (byRows, whole) = (MadeNodes.stage(.layerWise, 3), MadeNodes.stage(.progressive, 3))
    let (one, other) = (
      nodes.trainer(byRows, batch: 11, seed: 321), nodes.trainer(whole, batch: 11, seed: 321)
    )
    let losses = (
      one.step(on: try nodes.rows(byRows, one.parameters)),
      other.step(on: try nodes.rows(whole, other.parameters))
    )
    #expect(abs(losses.0 - losses.1) < 1e-5)
    for entry in byRows.entries {
      for (a, b) in zip(one.gradient(entry.slot).array(), other.gradient(entry.slot).array()) {
        #expect(abs(a - b) < 1e-5, "\(entry.name), seeds 320 and 321")
      }
    }
  }

  /// The layout has the names of PyTorch Geometric's GCN, and the parts that stages send.
  @Test func parametersThatTravel() {
    var configuration = GraphConvolutionConfiguration(features: 1433, width: 16, depth: 2)
    configuration.propagation = .lgcn
    func stage(_ strategy: Strategy, _ index: Int) -> Stage {
      Stage(
        strategy, index: index, EncoderConfiguration(configuration),
        objective: .classification(ClassifierConfiguration(classes: 7, convention: .graph)))
    }
    let counts = [stage(.layerWise, 1), stage(.layerWise, 2), stage(.endToEnd, 1)].map { stage in
      stage.parts.map(\.range.count)
    }
    #expect(counts == [[22_928, 112], [256, 112], [22_928, 256, 112]])
    let layout = stage(.endToEnd, 1).model.layout
    #expect(layout.entries.map(\.name) == ["convs.0.lin.weight", "convs.1.lin.weight", "lin.weight"])
    #expect(layout.entries.map(\.shape) == [[16, 1433], [16, 16], [7, 16]])
    #expect(layout.entries.map(\.part) == ["blocks.0", "blocks.1", "classifier"])
  }

  /// The classifier goes on from stage to stage, and stays behind as an exit.
  @Test func theClassifierIsCarriedThroughTheStages() throws {
    let content = { (depth: Int) in
      Stage.Content(
        blocks: Array(0..<depth), training: [depth - 1], stem: false, exits: Array(1..<depth))
    }
    let models = [1, 2].map {
      Stage(
        index: $0, content($0), MadeNodes.configuration(.lgcn),
        objective: .classification(ClassifierConfiguration(classes: MadeNodes.classes, convention: .graph))
      ).model
    }
    let first = Storage(models[0].layout)
    let second = Storage(models[1].layout)
    Initialisation.random(models[0], into: first, seed: 322)
    Initialisation.grow(
      models[1], into: second, from: models[0], first, .random, layersPerStage: 1, seed: 323)
    for name in ["lin.weight", "exits.1.lin.weight", "convs.0.lin.weight"] {
      let from = try #require(
        models[0].layout.entries.first { $0.name == name.replacing("exits.1.", with: "") })
      let to = try #require(models[1].layout.entries.first { $0.name == name })
      #expect(second[to.slot].bits == first[from.slot].bits, "\(name)")
    }
    let fresh = try #require(models[1].layout.entries.first { $0.name == "convs.1.lin.weight" })
    let bound = 1 / Float(MadeNodes.width).squareRoot()
    #expect(
      second[fresh.slot].array().allSatisfy { abs($0) <= bound } && Set(second[fresh.slot].bits).count > 30)
  }

  /// Inference on the whole graph has the outputs of each stage, whether a block widens or narrows, and the answers of
  /// every exit.
  @Test(arguments: [2, 40]) func inferenceIsTheStagesInTurn(width: Int) throws {
    let nodes = MadeNodes(seed: 324)
    let configuration = GraphConvolutionConfiguration(features: MadeNodes.inputs, width: width, depth: 3)
    let model = Model(
      EncoderConfiguration(configuration),
      objective: .classification(ClassifierConfiguration(classes: MadeNodes.classes, convention: .graph)),
      blocks: [0, 1, 2], exits: [1])
    let encoder = try #require(model.encoder as? GraphConvolutionNetwork)
    let parameters = Storage(model.layout)
    Initialisation.random(model, into: parameters, seed: 325)
    let (graph, workers) = (nodes.graph, Workers(2))
    var x = nodes.features
    var expected: [[Float]] = []
    for position in 0..<3 {
      let size = encoder.featureSize(behind: position)
      let (z, y) = (StorageBox(0..<graph.count * size), StorageBox(0..<graph.count * width))
      let inputs = z.storage.all.reshaped(graph.count, size)
      encoder.propagate(x.storage.all.reshaped(graph.count, size), on: graph, into: inputs, workers)
      encoder.advance(
        block: position, inputs, on: graph, into: y.storage.all.reshaped(graph.count, width), parameters,
        workers)
      x = y
      expected.append(y.storage.all.array())
    }
    let before = nodes.features.storage.all.bits
    var depths: [Int] = []
    encoder.forEachDepth(ComputedValues(stored: nodes.values), on: graph, parameters, workers) { depth, y in
      depths.append(depth)
      for (a, b) in zip(y.array(), expected[depth - 1]) {
        #expect(abs(a - b) <= 1e-5 * max(1, abs(b)), "depth \(depth), seeds 324 and 325")
      }
    }
    #expect(depths == [1, 2, 3] && nodes.features.storage.all.bits == before)
    let asked = [5, 3, 17, 0]
    let answers = EarlyExits.answers(
      model, parameters, features: nodes.values, on: graph, nodes: asked, workers: workers, chunk: 3)
    #expect(answers.map(\.count) == [4, 4])
    for (exit, (depth, name)) in zip([1, 3], ["exits.1.lin.weight", "lin.weight"]).enumerated() {
      let weight = parameters[try #require(model.layout.entries.first { $0.name == name }).slot]
      for (node, answer) in zip(asked, answers[exit]) {
        let x = expected[depth - 1][node * width..<(node + 1) * width].map(Double.init)
        let logits = (0..<MadeNodes.classes).map { c in
          zip(weight.rows(c..<c + 1).doubles, x).reduce(0) { $0 + $1.0 * $1.1 }
        }
        #expect(logits[answer.label] >= (logits.max() ?? 0) - 1e-4, "node \(node), seeds 324 and 325")
        #expect(answer.depth == depth)
      }
    }
  }

  /// The plan counts what is allocated: the layouts are the same, and a graph's size is part of it only where a step
  /// uses the graph.
  @Test func memoryOfAStepByRowsDoesNotGrowWithTheGraph() {
    func bytes(_ strategy: Strategy, _ index: Int, nodes: Int, batch: Int = 32) -> Int {
      var options = TrainingOptions(batch: batch, schedule: LearningRateSchedule(rate: 1))
      options.nodes = nodes
      return MemoryPlan(MadeNodes.stage(strategy, index), options, workers: 2).bytes
    }
    #expect(bytes(.layerWise, 1, nodes: 100) == bytes(.layerWise, 1, nodes: 1_000_000))
    #expect(bytes(.layerWise, 3, nodes: 100) == bytes(.layerWise, 3, nodes: 1_000_000))
    let (small, large) = (bytes(.endToEnd, 1, nodes: 1000), bytes(.endToEnd, 1, nodes: 2000))
    // Outputs of three layers, inputs of two, two gradients and the place of a propagation.
    let expected = 1000 * (7 * MadeNodes.width + 16) * MemoryLayout<Float>.stride
    #expect(abs(large - small - expected) <= 8 * 64)
  }

  /// A stage's outputs go on from those of the stage before, and its rows are those of the nodes that train.
  @Test func aPrefixGoesOnFromStageToStage() throws {
    let nodes = MadeNodes(seed: 326)
    let stages = [1, 2, 3].map { MadeNodes.stage(.layerWise, $0) }
    let last = try #require(stages[2].model.encoder as? GraphConvolutionNetwork)
    let trainer = nodes.trainer(stages[2], batch: 9, seed: 327)
    let chosen = [4, 11, 2, 29]
    func row(_ rows: any RowSource, _ index: Int, width: Int) -> [Float] {
      var values = [Float](repeating: 0, count: width)
      values.withUnsafeMutableBufferPointer {
        rows.write(view: 0, image: index, epoch: 0, worker: 0, into: $0.baseAddress!)
      }
      return values
    }
    var prefix = NodePrefix(nodes.graph, features: ComputedValues(stored: nodes.values))
    for stage in stages {
      let encoder = try #require(stage.model.encoder as? GraphConvolutionNetwork)
      prefix.freeze(to: stage.prefixDepth, of: encoder, trainer.parameters, Workers(2))
      let rows = prefix.rows(
        of: chosen, labels: chosen.map { nodes.labels[$0] }, for: encoder, Workers(2))
      #expect(
        rows.count == 4 && rows.givesFeatures == (stage.index > 1) && (rows as? PropagatedRows)?.graph == nil)
      var fresh = NodePrefix(nodes.graph, features: nodes.values)
      fresh.freeze(to: stage.prefixDepth, of: last, trainer.parameters, Workers(1))
      // The encoder of all layers has more blocks above, so that its rows have the whole graph.
      let width = encoder.featureSize(behind: stage.prefixDepth)
      let whole = fresh.rows(
        of: chosen, labels: chosen.map { nodes.labels[$0] }, for: last, Workers(1))
      #expect(((whole as? PropagatedRows)?.graph != nil) == (stage.index < 3))
      for index in chosen.indices {
        for (a, b) in zip(row(rows, index, width: width), row(whole, index, width: width)) {
          #expect(abs(a - b) <= 1e-5 * max(1, abs(b)), "stage \(stage.index), seeds 326 and 327")
        }
      }
    }
    // An earlier stage again, as in a further lap.
    prefix.freeze(to: 1, of: last, trainer.parameters, Workers(2))
    #expect(prefix.depth == 1)
  }

  @Test func configurationsAreCoded() throws {
    var value = GraphConvolutionConfiguration(features: 1433, width: 16, depth: 2)
    value.propagation = .mean
    let configuration = EncoderConfiguration(value)
    #expect(configuration.input == .nodes(features: 1433) && configuration.output == 16)
    let coded = try JSONEncoder().encode(configuration)
    #expect(try JSONDecoder().decode(EncoderConfiguration.self, from: coded) == configuration)
    var resnet = configuration
    resnet.family = .resnet
    resnet.family = .gcn
    #expect(resnet.width == 16 && resnet.depth == 2)
  }
}
