import Engine
import Testing

/// Whole steps of a graph attention network with graph infomax.
@Suite struct GraphAttentionTrainingTests {
  private static let graph = RandomGraph.undirected(60, edges: 160, seed: 441)

  private static func configuration(depth: Int, skip: Bool = true) -> EncoderConfiguration {
    var value = GraphAttentionConfiguration(features: 7, width: 8, depth: depth)
    (value.heads, value.skip) = (2, skip)
    return EncoderConfiguration(value)
  }

  private static func stage(
    _ strategy: Strategy, index: Int = 1, depth: Int = 2, hops: Int = 1
  ) -> Stage {
    Stage(
      strategy, index: index, configuration(depth: depth),
      objective: .infomax(GraphInfomaxConfiguration(hops: hops)))
  }

  /// Returns rows of random features, of which each node is one.
  private static func rows(
    _ stage: Stage, _ graph: Graph = graph, fanouts: [Int]? = nil, seed: UInt64
  ) -> NodeRows {
    let width = stage.model.encoder.featureSize(behind: stage.prefixDepth)
    let inputs = StorageBox(0..<graph.count * width)
    var random = RandomNumbers(seed, "features")
    inputs.storage.all.draw(&random)
    return NodeRows(
      graph, inputs: StoredValues(inputs, width: width), nodes: Array(0..<graph.count), labels: nil,
      givesFeatures: stage.prefixDepth > 0, fanouts: fanouts, seed: seed)
  }

  private static func trainer(
    _ stage: Stage, batch: Int, graph: Graph = graph, fanouts: [Int]? = nil, workers: Int = 1, seed: UInt64
  ) -> Trainer {
    var options = TrainingOptions(batch: batch, schedule: LearningRateSchedule(rate: 1e-2), chunk: 1)
    (options.nodes, options.fanouts) = (graph.count, fanouts)
    let trainer = Trainer(stage, options, workers: Workers(workers))
    Initialisation.random(stage.model, into: trainer.parameters, seed: seed)
    // Biases are 0 at first, where ReLU has its kink.
    TinyViT.nudge(trainer, [stage.model.layout.range], seed: seed)
    trainer.begin()
    return trainer
  }

  static let stages: [(strategy: Strategy, index: Int, hops: Int)] = [
    (.layerWise, 1, 1), (.layerWise, 2, 1), (.layerWise, 2, 2), (.endToEnd, 1, 1), (.endToEnd, 1, 3),
    (.progressive, 2, 2),
  ]

  /// The loss of a step, differentiated with respect to all trained parameters, on the whole graph and on sampled
  /// neighbourhoods.
  @Test(arguments: stages, [nil, [4, 2], [3, 2, 2]] as [[Int]?]) func gradients(
    _ stage: (strategy: Strategy, index: Int, hops: Int), fanouts: [Int]?
  ) {
    let seed: UInt64 = 442
    let stage = Self.stage(stage.strategy, index: stage.index, hops: stage.hops)
    for batch in [9, 60] {
      let trainer = Self.trainer(stage, batch: batch, fanouts: fanouts, seed: seed)
      let rows = Self.rows(stage, fanouts: fanouts, seed: seed)
      if let objective = stage.model.objective as? GraphInfomaxObjective {
        for predictor in [objective.local, objective.global] {
          GraphInfomaxTests.keepFromKinks(predictor, trainer.parameters)
        }
      }
      _ = trainer.step(on: rows)
      // Every edge has kinks, which leave few digits of the small gradients of attention; those of a single block are
      // compared with the formula.
      for (entries, tolerance) in [
        (stage.entries.filter { !$0.name.contains("att_") }, 0.05),
        (stage.entries.filter { $0.name.contains("att_") }, 0.15),
      ] {
        let slots = entries.map {
          Differentiable($0.name, trainer.parameters[$0.slot], gradient: trainer.gradient($0.slot).array())
        }
        FiniteDifferences(seed: seed, step: 5e-3, tolerance: tolerance).expect(slots) {
          // A term that a parameter does not change has no part in the difference.
          trainer.terms(on: rows).terms.reduce(0) { $0 + Double($1.value) }
        }
      }
    }
  }

  @Test(arguments: stages, [nil, [4, 2]] as [[Int]?]) func workersChangeNotABit(
    _ stage: (strategy: Strategy, index: Int, hops: Int), fanouts: [Int]?
  ) {
    let stage = Self.stage(stage.strategy, index: stage.index, hops: stage.hops)
    var results: [[UInt32]] = []
    for workers in [1, 2, 3] {
      let trainer = Self.trainer(stage, batch: 30, fanouts: fanouts, workers: workers, seed: 443)
      _ = trainer.train(Self.rows(stage, fanouts: fanouts, seed: 443), seed: 443)
      results.append(trainer.parameters.all.bits)
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }

  /// Fanouts that leave no neighbour out give the step of the whole graph, though they compute a part of the nodes.
  @Test(arguments: stages) func fanoutsThatNoNodeExceeds(
    _ stage: (strategy: Strategy, index: Int, hops: Int)
  ) {
    let stage = Self.stage(stage.strategy, index: stage.index, hops: stage.hops)
    let fanouts = [Int](
      repeating: 60, count: stage.model.depth - stage.prefixDepth + stage.model.objective.hops)
    let whole = Self.trainer(stage, batch: 6, seed: 444)
    let sampled = Self.trainer(stage, batch: 6, fanouts: fanouts, seed: 444)
    let one = whole.step(on: Self.rows(stage, seed: 445))
    let other = sampled.step(on: Self.rows(stage, fanouts: fanouts, seed: 445))
    #expect(abs(one - other) < 1e-4 * abs(one), "\(one) and \(other), seeds 444 and 445")
    for entry in stage.entries {
      let (a, b) = (whole.gradient(entry.slot).doubles, sampled.gradient(entry.slot).doubles)
      let scale = a.reduce(1) { max($0, abs($1)) }
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 * scale }, "\(entry.name), seeds 444 and 445")
    }
  }

  /// Features of which most are 0 give the step of the same features in a matrix, whoever computes it.
  @Test(arguments: [nil, [4, 2]] as [[Int]?], [true, false]) func sparseFeatures(fanouts: [Int]?, skip: Bool)
  {
    let stage = Stage(
      .endToEnd, index: 1, Self.configuration(depth: 2, skip: skip),
      objective: .infomax(GraphInfomaxConfiguration()))
    let values = SparseValues(count: Self.graph.count, width: 7, seed: 451)
    func rows(_ inputs: any NodeValues) -> NodeRows {
      NodeRows(
        Self.graph, inputs: inputs, nodes: Array(0..<values.count), labels: nil, givesFeatures: false,
        fanouts: fanouts, seed: 452)
    }
    let matrix = StorageBox(0..<values.count * 7)
    values.write(into: matrix.storage.all.reshaped(values.count, 7), Workers(1))
    func gradients(_ inputs: any NodeValues, workers: Int) -> [[Float]] {
      let trainer = Self.trainer(stage, batch: 30, fanouts: fanouts, workers: workers, seed: 453)
      _ = trainer.step(on: rows(inputs))
      return stage.entries.map { trainer.gradient($0.slot).array() }
    }
    let (dense, sparse) = (
      gradients(StoredValues(matrix, width: 7), workers: 1), gradients(values, workers: 1)
    )
    #expect(sparse == gradients(values, workers: 3))
    for (entry, (a, b)) in zip(stage.entries, zip(dense, sparse)) {
      let scale = a.reduce(1) { max($0, abs($1)) }
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-5 * scale }, "\(entry.name), seeds 451 to 453")
    }
  }

  /// Each step of each epoch draws its own neighbours, and a training can be repeated.
  @Test func samplingFollowsTheSeedOfTheRows() {
    let stage = Self.stage(.layerWise)
    func train(_ seed: UInt64, epoch: Int = 0, step: Int = 0) -> Float {
      let trainer = Self.trainer(stage, batch: 20, fanouts: [3, 2], seed: 446)
      var rows = Self.rows(stage, fanouts: [3, 2], seed: 446)
      rows.seed = seed
      let images = Minibatch(rows, images: Array(0..<20)[...], epoch: epoch, step: step)
      return trainer.step(learningRate: 0, images).total
    }
    let first = train(1)
    #expect(train(1) == first)
    for other in [train(2), train(1, epoch: 1), train(1, step: 1)] { #expect(other != first) }
  }

  /// The features of all nodes, block by block, are those of a step on the whole graph.
  @Test func wholeGraphInference() throws {
    let stage = Self.stage(.endToEnd)
    let trainer = Self.trainer(stage, batch: 60, workers: 2, seed: 447)
    let rows = Self.rows(stage, seed: 447)
    let encoder = try #require(stage.model.encoder as? any NodeEncoder)
    #expect(!encoder.propagatesInputs)
    let pass = encoder.makePass(
      PassSettings(
        prefix: 0, trainedBlocks: [0, 1], trainsStem: false, views: 2, batch: 60, chunk: 8, keptRows: 120,
        nodes: 60, hops: 1), workers: Workers(1))
    let pooled = StorageBox(0..<120 * 8)
    pass.forward(
      trainer.parameters, Minibatch(rows, first: 60), into: pooled.storage.all.reshaped(120, 8), branches: [])
    var last: [UInt32] = []
    encoder.forEachDepth(rows.inputs, on: Self.graph, trainer.parameters, Workers(2)) { depth, y in
      if depth == 2 { last = y.bits }
    }
    #expect(pooled.storage.all.reshaped(120, 8).rows(0..<60).bits == last, "seed 447")
  }

  /// With fanouts the memory of a step has a bound that the graph does not change; without, it grows with the nodes and
  /// not with the edges.
  @Test func memory() {
    func bytes(nodes: Int, _ fanouts: [Int]?, _ strategy: Strategy = .layerWise) -> Int {
      var options = TrainingOptions(batch: 16, schedule: LearningRateSchedule(rate: 1))
      (options.nodes, options.fanouts) = (nodes, fanouts)
      return MemoryPlan(Self.stage(strategy, index: strategy == .layerWise ? 2 : 1), options, workers: 2)
        .bytes
    }
    #expect(bytes(nodes: 10_000, [10, 5]) == bytes(nodes: 100_000_000, [10, 5]))
    #expect(bytes(nodes: 10_000, [10, 5], .endToEnd) == bytes(nodes: 100_000_000, [10, 5], .endToEnd))
    let (small, large) = (bytes(nodes: 10_000, nil), bytes(nodes: 20_000, nil))
    // h, u and the gradients of both, P u, and a tile of it, of 8 values or 16 for a node.
    #expect(large - small > 10_000 * 4 * 5 * 8 && large - small < 10_000 * 4 * 80)
    #expect(bytes(nodes: 100_000, nil) > bytes(nodes: 100_000, [10, 5]))
  }

  /// The predictors start anew with each stage, and the blocks below go on.
  @Test func predictorsStartAnewInEachStage() {
    let (below, model) = (Self.stage(.layerWise).model, Self.stage(.layerWise, index: 2).model)
    let old = Storage(below.layout)
    let new = Storage(model.layout)
    var random = RandomNumbers(448, "trained")
    old.all.draw(&random)
    Initialisation.grow(model, into: new, from: below, old, .random, layersPerStage: 1, seed: 449)
    #expect(model.parts.map(\.name) == ["blocks.0", "blocks.1", "local", "global"])
    for part in below.parts {
      let isKept = new[model.part(part.name)!.range].bits == old[part.range].bits
      #expect(isKept == (part.name == "blocks.0"), "\(part.name), seeds 448 and 449")
    }
  }

  /// Layer-wise training of two blocks lowers the loss of each.
  @Test func trainingLowersTheLoss() {
    for index in [1, 2] {
      let stage = Self.stage(.layerWise, index: index)
      let trainer = Self.trainer(stage, batch: 60, seed: 450)
      let rows = Self.rows(stage, seed: 450)
      let before = trainer.step(on: rows)
      for _ in 0..<40 { _ = trainer.step(on: rows, learningRate: 1e-2) }
      #expect(trainer.step(on: rows) < 0.8 * before, "stage \(index), seed 450")
    }
  }
}

/// Values of which a node has three, one of them twice.
private struct SparseValues: NodeValues {
  let count, width: Int
  let seed: UInt64
  var isSparse: Bool { true }

  func forEach(of node: Int, _ body: (Int, Float) -> Void) {
    var random = RandomNumbers(seed, "values", node)
    let column = random.below(width)
    body(column, random.normal())
    body(random.below(width), random.normal())
    body(column, random.normal())
  }

  func write(_ node: Int, into place: UnsafeMutablePointer<Float>) {
    place.update(repeating: 0, count: width)
    add(node, scale: 1, to: place)
  }

  func add(_ node: Int, scale: Float, to place: UnsafeMutablePointer<Float>) {
    forEach(of: node) { place[$0] += scale * $1 }
  }
}
