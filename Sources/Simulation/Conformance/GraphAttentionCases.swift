import Engine

/// The golden cases of graph attention and of its training with graph infomax.
enum GraphAttentionCases {
  static let operations: [String: Conformance.Operation] = [
    "gat_block": block, "graph_infomax": infomax, "lrgi_training": training,
  ]

  // MARK: - Block

  private static func block(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let graph = try GraphCases.graph(tensors)
    let (x, dy) = try (tensors.nodes("in.x", graph), tensors.nodes("in.dy", graph))
    let (count, inputs, width) = (graph.count, x.shape[1], dy.shape[1])
    var (layout, work, scratchLayout) = (Layout(), Layout(alignment: 16), Layout(alignment: 16))
    let layer = try layer(golden, inputs: inputs, width: width, in: &layout)
    let tracePlan = GraphAttention.TracePlan(layer, nodes: count, outputs: count, in: &work)
    let gradientPlan = GraphAttention.GradientPlan(layer, nodes: count, outputs: count, in: &work)
    let (xSlot, dxSlot) = (work.add("x", count, inputs), work.add("dx", count, inputs))
    let dySlot = work.add("dy", count, width)
    let scratchPlan = GraphAttention.ScratchPlan(layer, chunk: 16, in: &scratchLayout)
    let fixture = try LayerFixture(layout, work: work, tensors)
    try fixture.fill(fixture[xSlot], "in.x")
    try fixture.fill(fixture[dySlot], "in.dy")
    let workers = Workers(2)
    let team = GraphAttention.Team(
      scratchPlan, (0..<workers.count).map { _ in StorageBox(scratchLayout.range) }, workers)
    let trace = fixture.withWork { tracePlan.trace($0, nodes: count, outputs: count) }
    let gradients = fixture.withWork { gradientPlan.gradients($0, nodes: count, outputs: count) }
    let (input, shards) = (
      GraphAttention.Inputs(StoredValues(fixture[xSlot])),
      [StorageBox(layout.range), StorageBox(layout.range)]
    )
    try graph.withAdjacency { sources in
      try graph.transposed().withAdjacency { takers in
        layer.forward(input, sources, trace, fixture.parameters, team)
        try fixture.compare("out.y", trace.output)
        layer.backward(
          fixture[dySlot], input: input, into: fixture[dxSlot],
          Neighbourhood(whole: sources, takers: takers), trace, gradients, fixture.parameters, into: shards,
          team)
      }
    }
    for shard in shards { Elementwise.add(shard.storage.all, to: fixture.gradients.all) }
    try fixture.compare("out.dx", fixture[dxSlot])
    return try fixture.finish()
  }

  private static func layer(
    _ golden: GoldenCase, inputs: Int, width: Int, in layout: inout Layout
  ) throws -> GraphAttention {
    let heads = try golden.integer("heads")
    guard heads > 0, width % heads == 0, inputs > 0 else {
      throw ConformanceError("\(inputs) inputs, a width of \(width), \(heads) heads")
    }
    return GraphAttention(
      "\(LayerFixture.name).", inputs: inputs, width: width, heads: heads,
      skip: try golden.integer("skip") == 1, slope: Float(try golden.number("negative_slope")), in: &layout)
  }

  // MARK: - Loss

  private static func infomax(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (given, other) = try (tensors("in.u"), tensors("in.v"))
    guard given.shape.count == 2, given.shape == other.shape, given.shape[0] >= 2 else {
      throw ConformanceError("in.u has the shape \(given.shape), in.v \(other.shape)")
    }
    let (batch, width) = (given.shape[0], given.shape[1])
    var (layout, work) = (Layout(), Layout(alignment: 16))
    let configuration = try weights(golden)
    let local = GraphInfomaxLoss.Predictor("local", width: width, in: &layout)
    let global = GraphInfomaxLoss.Predictor("global", width: width, in: &layout)
    let infomax = GraphInfomaxLoss(configuration, local: local, global: global, in: &work)
    let (u, v) = (work.add("u", batch, width), work.add("v", batch, width))
    let (du, dv) = (work.add("du", batch, width), work.add("dv", batch, width))
    let fixture = try LayerFixture(layout, work: work, tensors)
    try fixture.fill(fixture[u], "in.u")
    try fixture.fill(fixture[v], "in.v")
    let terms = fixture.withWork {
      infomax.loss(
        fixture[u], fixture[v], into: fixture[du], fixture[dv], fixture.parameters, fixture.gradients, $0,
        Workers(2))
    }
    try fixture.compare("out.prediction", [Float(terms.prediction)])
    try fixture.compare("out.variance", [Float(terms.variance)])
    try fixture.compare("out.covariance", [Float(terms.covariance)])
    let loss = configuration.weighted(terms).reduce(0) { $0 + $1.value }
    try fixture.compare("out.loss", [Float(loss)])
    try fixture.compare("out.du", fixture[du])
    try fixture.compare("out.dv", fixture[dv])
    return try fixture.finish()
  }

  private static func weights(_ golden: GoldenCase) throws -> GraphInfomaxConfiguration {
    let hops = golden.has("hops") ? try golden.integer("hops") : 1
    guard hops >= 1 else { throw ConformanceError("\(hops) hops") }
    return GraphInfomaxConfiguration(
      prediction: Float(try golden.number("lambda1")), variance: Float(try golden.number("lambda2")),
      covariance: Float(try golden.number("lambda3")), hops: hops)
  }

  // MARK: - Training

  private static func training(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let graph = try GraphCases.graph(tensors)
    let (x, seeds) = try (tensors.nodes("in.x", graph), tensors("in.seeds"))
    guard seeds.shape.count == 2, seeds.shape[1] >= 2 else {
      throw ConformanceError("in.seeds has the shape \(seeds.shape)")
    }
    let nodes = seeds.values.map { Int($0) }
    guard nodes.allSatisfy((0..<graph.count).contains) else {
      throw ConformanceError("in.seeds are not among \(graph.count) nodes")
    }
    let stage = try stage(golden, tensors, features: x.shape[1])
    let trainer = try trainer(stage, golden, tensors, batch: seeds.shape[1], nodes: graph.count)
    let features = StorageBox(0..<x.values.count)
    features.storage.all.fill(with: x.values)
    let rows = NodeRows(
      graph, inputs: StoredValues(features, width: x.shape[1]), nodes: Array(0..<graph.count), labels: nil,
      givesFeatures: false)
    var (comparison, losses) = (Comparison(), [Float]())
    for step in 0..<seeds.shape[0] {
      let batch = nodes[step * seeds.shape[1]..<(step + 1) * seeds.shape[1]]
      let terms = trainer.step(
        learningRate: Float(try golden.number("lr")), Minibatch(rows, images: batch, epoch: 0, step: step))
      losses.append(terms.total)
      if step == 0 { try compareGradients(trainer, tensors, &comparison) }
    }
    try comparison.compare("out.losses", losses, with: tensors("out.losses").values)
    for entry in stage.entries {
      let name = "out.\(caseName(entry.name))"
      try comparison.compare(
        name, trainer.parameters[entry.slot].array(), with: tensors(name).values,
        within: golden.number("trained_parameters_tolerance"), tolerance: golden.tolerance)
    }
    guard let encoder = stage.model.encoder as? any NodeEncoder else { preconditionFailure("no graph") }
    let outputs = StorageBox(0..<graph.count * encoder.output)
    let y = outputs.storage.all.reshaped(graph.count, encoder.output)
    encoder.advance(
      block: 0, features.storage.all.reshaped(graph.count, x.shape[1]), on: graph, into: y,
      trainer.parameters, Workers(2))
    try comparison.compare("out.features", y.array(), with: tensors("out.features").values)
    return comparison
  }

  private static func stage(
    _ golden: GoldenCase, _ tensors: GoldenTensors, features: Int
  ) throws -> Stage {
    let heads = try golden.integer("heads")
    guard let width = try tensors("param.conv.lin.weight").shape.first, heads > 0, width % heads == 0,
      width > 0
    else { throw ConformanceError("param.conv.lin.weight does not have \(heads) heads") }
    var shape = GraphAttentionConfiguration(features: features, width: width, depth: 1)
    (shape.heads, shape.skip) = (heads, tensors.has("param.skip.weight"))
    let slope = Float(try golden.number("negative_slope"))
    let model = Model(objective: .infomax(try weights(golden))) {
      [shape] layout in
      GraphAttentionNetwork(shape, blocks: [0], slope: slope, in: &layout)
    }
    return Stage(index: 1, Stage.Content(blocks: [0], training: [0], stem: false), model)
  }

  private static func trainer(
    _ stage: Stage, _ golden: GoldenCase, _ tensors: GoldenTensors, batch: Int, nodes: Int
  ) throws -> Trainer {
    var options = TrainingOptions(
      batch: batch, weightDecay: Float(try golden.number("weight_decay")),
      schedule: LearningRateSchedule(rate: Float(try golden.number("lr"))))
    (options.moments, options.nodes) = (try golden.moments(), nodes)
    let trainer = Trainer(stage, options, workers: Workers(2))
    for entry in stage.model.layout.entries {
      let name = "param.\(caseName(entry.name))"
      let tensor = try tensors(name)
      guard tensor.shape == entry.shape else {
        throw ConformanceError("\(name) has the shape \(tensor.shape) instead of \(entry.shape)")
      }
      trainer.parameters[entry.slot].flat.fill(with: tensor.values)
    }
    trainer.begin()
    return trainer
  }

  private static func compareGradients(
    _ trainer: Trainer, _ tensors: GoldenTensors, _ comparison: inout Comparison
  ) throws {
    let names = trainer.stage.entries.map { caseName($0.name) }.sorted()
    guard names == tensors.names("grad.") else {
      throw ConformanceError("gradients exist of \(names) instead of \(tensors.names("grad."))")
    }
    for entry in trainer.stage.entries {
      let name = "grad.\(caseName(entry.name))"
      try comparison.compare(name, trainer.gradient(entry.slot).array(), with: tensors(name).values)
    }
  }

  /// Returns the name of a parameter in a case, which has a single block.
  private static func caseName(_ name: String) -> String {
    name.hasPrefix("blocks.0.") ? String(name.dropFirst("blocks.0.".count)) : name
  }
}
