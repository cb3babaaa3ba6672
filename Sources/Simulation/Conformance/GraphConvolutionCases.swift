import Datasets
import Engine
import Federation

/// The golden cases of propagation, L-GCN and the smoothness of representations.
enum GraphConvolutionCases {
  static let operations: [String: Conformance.Operation] = [
    "graph_propagation": propagation, "graph_convolution": convolution, "lgcn_training": training,
    "lgcn_federated": federated, "graph_smoothness": smoothness,
  ]

  private static func kind(_ golden: GoldenCase) throws -> Propagation {
    guard let kind = Propagation(rawValue: try golden.text("kind")) else {
      throw ConformanceError("this version does not know the propagation \(try golden.text("kind"))")
    }
    return kind
  }

  private static func propagation(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (graph, kind, hops) = (try GraphCases.graph(tensors), try kind(golden), try golden.integer("hops"))
    let (x, dy) = (try tensors.nodes("in.x", graph), try tensors.nodes("in.dy", graph))
    guard hops > 0, x.shape == dy.shape else { throw ConformanceError("in.dy has the shape \(dy.shape)") }
    var layout = Layout(alignment: 16)
    let (y, dx) = (layout.add("y", x.shape[0], x.shape[1]), layout.add("dx", x.shape[0], x.shape[1]))
    let tile = Propagation.tile(nodes: graph.count, in: &layout)
    let work = Storage(layout)
    let workers = Workers(2)
    work[y].fill(with: x.values)
    work[dx].fill(with: dy.values)
    kind.forward(work[y], on: graph, hops: hops, into: work[y], tile: work[tile], workers)
    kind.backward(
      work[dx], on: graph, transposed: graph.transposed(), hops: hops, into: work[dx], tile: work[tile],
      workers)
    var comparison = Comparison()
    try comparison.compare("out.y", work[y].array(), with: tensors("out.y").values)
    try comparison.compare("out.dx", work[dx].array(), with: tensors("out.dx").values)
    return comparison
  }

  private static func convolution(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (graph, kind) = (try GraphCases.graph(tensors), try kind(golden))
    let (x, dy) = (try tensors.nodes("in.x", graph), try tensors.nodes("in.dy", graph))
    let (count, inputs, outputs) = (graph.count, x.shape[1], dy.shape[1])
    let weight = try tensors("param.weight")
    guard weight.shape == [outputs, inputs] else {
      throw ConformanceError("param.weight has the shape \(weight.shape) instead of [\(outputs), \(inputs)]")
    }
    var (parameterLayout, layout) = (Layout(), Layout(alignment: 16))
    let layer = GraphConvolution("layer", inputs: inputs, outputs: outputs, kind, in: &parameterLayout)
    let (z, dz) = (layout.add("z", count, inputs), layout.add("dz", count, inputs))
    let (y, d) = (layout.add("y", count, outputs), layout.add("dy", count, outputs))
    let tile = Propagation.tile(nodes: count, in: &layout)
    let parameters = Storage(parameterLayout)
    let gradients = Storage(parameterLayout)
    let work = Storage(layout)
    let workers = Workers(2)
    parameters.all.fill(with: weight.values)
    work[z].fill(with: x.values)
    work[d].fill(with: dy.values)
    kind.forward(work[z], on: graph, into: work[z], tile: work[tile], workers)
    layer.forward(work[z], into: work[y], parameters, workers)
    layer.backward(work[d], output: work[y], input: work[z], into: work[dz], parameters, gradients)
    kind.backward(
      work[dz], on: graph, transposed: graph.transposed(), into: work[dz], tile: work[tile], workers)
    var comparison = Comparison()
    try comparison.compare("out.y", work[y].array(), with: tensors("out.y").values)
    try comparison.compare("out.dx", work[dz].array(), with: tensors("out.dx").values)
    try comparison.compare("grad.weight", gradients.all.array(), with: tensors("grad.weight").values)
    return comparison
  }

  private static func smoothness(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let x = try tensors("in.x")
    guard x.shape.count == 2 else { throw ConformanceError("in.x has the shape \(x.shape)") }
    var layout = Layout()
    let slot = layout.add("x", x.shape[0], x.shape[1])
    let work = Storage(layout)
    work[slot].fill(with: x.values)
    var comparison = Comparison()
    let distance = Smoothness.distance(work[slot], Workers(2))
    try comparison.compare("out.distance", [Float(distance)], with: tensors("out.distance").values)
    return comparison
  }

  // MARK: - Training

  private static func training(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let strategies: [String: Strategy] = ["lw": .layerWise, "e2e": .endToEnd]
    guard let strategy = strategies[try golden.text("strategy")] else {
      throw ConformanceError("this version does not know the strategy \(try golden.text("strategy"))")
    }
    let run = try LGCNRun(golden, tensors, strategy)
    let nodes = LGCNRun.Nodes(
      graph: try GraphCases.graph(tensors), numbers: Array(0..<run.count), batches: try tensors("in.batches"))
    var comparison = Comparison()
    let (trainer, losses) = try run.train(nodes, tensors) { trainer in
      let names = run.stage.entries.map { run.caseName($0.name) }.sorted()
      guard names == tensors.names("grad.") else {
        throw ConformanceError("gradients exist of \(names) instead of \(tensors.names("grad."))")
      }
      for entry in run.stage.entries {
        let name = "grad.\(run.caseName(entry.name))"
        try comparison.compare(name, trainer.gradient(entry.slot).array(), with: tensors(name).values)
      }
    }
    try comparison.compare("out.losses", losses, with: tensors("out.losses").values)
    for entry in run.stage.entries {
      let name = "out.\(run.caseName(entry.name))"
      try comparison.compare(
        name, trainer.parameters[entry.slot].array(), with: tensors(name).values,
        within: golden.number("trained_parameters_tolerance"), tolerance: golden.tolerance)
    }
    let features = run.features(trainer.parameters, on: nodes.graph, tensors)
    try comparison.compare("out.features", features, with: tensors("out.features").values)
    return comparison
  }

  /// A round: each client trains on its own part from the same parameters.
  private static func federated(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let run = try LGCNRun(golden, tensors, .layerWise)
    let (graph, clients) = (try GraphCases.graph(tensors), try golden.integer("clients"))
    var (updates, weights, losses): ([[Float]], [Int], [Float]) = ([], [], [])
    guard run.count == graph.count else {
      throw ConformanceError("\(run.count) labels of \(graph.count) nodes")
    }
    let parts = try GraphCases.parts(tensors("in.owner").values, clients: clients, nodes: graph.count)
    let induced = graph.induced(by: parts)
    for (client, part) in parts.enumerated() {
      // A client without a labelled node takes no part.
      let labelled = part.count { run.labels[$0] >= 0 }
      guard labelled > 0 else { continue }
      let nodes = LGCNRun.Nodes(
        graph: induced[client].graph, numbers: part, batches: try tensors("in.batches.\(client)"))
      let (trainer, own) = try run.train(nodes, tensors) { _ in }
      updates.append(run.stage.trainedValues(of: trainer.parameters))
      weights.append(labelled)
      losses += own
    }
    var mean = WeightedMean(count: run.stage.count, samples: weights.reduce(0, +))
    for (update, weight) in zip(updates, weights) {
      update.withUnsafeBufferPointer { mean.fold($0, samples: weight) }
    }
    let aggregate = mean.finish().withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    var comparison = Comparison()
    var start = 0
    for entry in run.stage.entries {
      let name = "out.\(run.caseName(entry.name))"
      try comparison.compare(
        name, Array(aggregate[start..<start + entry.slot.count]), with: tensors(name).values,
        within: golden.number("trained_parameters_tolerance"), tolerance: golden.tolerance)
      start += entry.slot.count
    }
    try comparison.compare("out.losses", losses, with: tensors("out.losses").values)
    let dropped = LostEdges(of: graph, among: parts).lost
    try comparison.compare("out.dropped", [Float(dropped)], with: tensors("out.dropped").values)
    return comparison
  }
}

/// A stage of L-GCN in a case, with its parameters and options.
private struct LGCNRun {
  let stage: Stage
  let labels: [Int]
  private let features: Safetensors.Tensor
  private let options: TrainingOptions
  private let rate: Float

  /// The nodes of a client, by their numbers in the whole graph, and its batches of those numbers.
  struct Nodes {
    let graph: Graph
    let numbers: [Int]
    let batches: Safetensors.Tensor
  }

  init(_ golden: GoldenCase, _ tensors: GoldenTensors, _ strategy: Strategy) throws {
    let (x, classifier) = (try tensors("in.x"), try tensors("param.classifier.weight"))
    labels = try tensors("in.labels").values.map { Int($0) }
    let depth = try golden.integer("stage")
    guard x.shape.count == 2, x.shape[0] == labels.count, classifier.shape.count == 2, depth > 0 else {
      throw ConformanceError("features of the shape \(x.shape), \(labels.count) labels, stage \(depth)")
    }
    guard labels.allSatisfy({ (-1..<classifier.shape[0]).contains($0) }) else {
      throw ConformanceError("labels that are not among \(classifier.shape[0]) classes")
    }
    var configuration = GraphConvolutionConfiguration(
      features: x.shape[1], width: classifier.shape[1], depth: depth)
    if golden.has("kind") {
      guard let kind = Propagation(rawValue: try golden.text("kind")) else {
        throw ConformanceError("this version does not know the propagation \(try golden.text("kind"))")
      }
      configuration.propagation = kind
    }
    features = x
    stage = Stage(
      strategy, index: strategy.hasSingleStage ? 1 : depth, EncoderConfiguration(configuration),
      objective: .classification(ClassifierConfiguration(classes: classifier.shape[0], convention: .graph)))
    rate = Float(try golden.number("lr"))
    var options = TrainingOptions(batch: 1, weightDecay: 0, schedule: LearningRateSchedule(rate: rate))
    options.moments = try golden.moments()
    self.options = options
  }

  /// The number of nodes of the whole graph.
  var count: Int { labels.count }

  private var encoder: any NodeEncoder {
    guard let encoder = stage.model.encoder as? any NodeEncoder else {
      preconditionFailure("no node encoder")
    }
    return encoder
  }

  /// Returns the name of a parameter in a case: `layers.l.weight` or `classifier.weight`.
  func caseName(_ name: String) -> String {
    guard let layer = name.split(separator: ".").dropFirst().first, name.hasPrefix("convs.") else {
      return "classifier.weight"
    }
    return "layers.\(layer).weight"
  }

  /// Trains on a client's batches from the case's parameters. Returns the losses; calls `first` after the first step.
  func train(
    _ nodes: Nodes, _ tensors: GoldenTensors, first: (Trainer) throws -> Void
  ) throws -> (Trainer, losses: [Float]) {
    guard nodes.batches.shape.count == 2 else {
      throw ConformanceError("batches of the shape \(nodes.batches.shape)")
    }
    let places = Dictionary(uniqueKeysWithValues: nodes.numbers.enumerated().map { ($1, $0) })
    let batches = try nodes.batches.values.map { value in
      guard let place = places[Int(value)], labels[Int(value)] >= 0 else {
        throw ConformanceError("node \(Int(value)) of a batch is not a labelled node of the graph")
      }
      return place
    }
    var options = options
    (options.batch, options.nodes) = (nodes.batches.shape[1], nodes.graph.count)
    let trainer = Trainer(stage, options, workers: Workers(2))
    for entry in stage.model.layout.entries {
      let name = "param.\(caseName(entry.name))"
      let tensor = try tensors(name)
      guard tensor.shape == entry.shape else {
        throw ConformanceError("\(name) has the shape \(tensor.shape) instead of \(entry.shape)")
      }
      trainer.parameters[entry.slot].fill(with: tensor.values)
    }
    trainer.begin()
    let part = StorageBox(0..<nodes.graph.count * features.shape[1])
    for (place, node) in nodes.numbers.enumerated() {
      part.storage[place * features.shape[1]..<(place + 1) * features.shape[1]].fill(
        with: Array(features.values[node * features.shape[1]..<(node + 1) * features.shape[1]]))
    }
    let workers = Workers(2)
    var prefix = NodePrefix(nodes.graph, features: StoredValues(part, width: features.shape[1]))
    prefix.freeze(to: stage.prefixDepth, of: encoder, trainer.parameters, workers)
    let rows = prefix.rows(
      of: Array(0..<nodes.graph.count), labels: nodes.numbers.map { max(labels[$0], 0) }, for: encoder,
      workers)
    var losses: [Float] = []
    for step in 0..<nodes.batches.shape[0] {
      let images = batches[step * options.batch..<(step + 1) * options.batch]
      losses.append(trainer.step(learningRate: rate, Minibatch(rows, images: images, epoch: 0)).total)
      if step == 0 { try first(trainer) }
    }
    return (trainer, losses)
  }

  /// Returns the outputs of the last block on the whole graph.
  func features(_ parameters: borrowing Storage, on graph: Graph, _ tensors: GoldenTensors) -> [Float] {
    let x = StorageBox(0..<features.values.count)
    x.storage.all.fill(with: features.values)
    var result: [Float] = []
    encoder.forEachDepth(
      StoredValues(x, width: features.shape[1]), on: graph, parameters, Workers(2)
    ) { depth, y in
      if depth == stage.model.depth { result = y.array() }
    }
    return result
  }
}

extension GoldenTensors {
  /// Returns a tensor with a row for each node of a graph.
  func nodes(_ name: String, _ graph: Graph) throws -> Safetensors.Tensor {
    let tensor = try self(name)
    guard tensor.shape.count == 2, tensor.shape[0] == graph.count else {
      throw ConformanceError(
        "\(name) has the shape \(tensor.shape), where the graph has \(graph.count) nodes")
    }
    return tensor
  }
}

extension GoldenCase {
  /// The constants of Adam.
  func moments() throws -> AdamW.Moments {
    AdamW.Moments(
      beta1: Float(try number("beta1")), beta2: Float(try number("beta2")), epsilon: Float(try number("eps")))
  }
}
