/// The part of a graph attention network in a training step.
///
/// A step uses the neighbourhoods of the batch's nodes, sampled or in the whole graph, and computes each block above the
/// prefix for the nodes that the pooled output needs. View 0 of a node is its output u in the last block; view 1 is the
/// mean propagation P^hops u over the same neighbourhoods (LRGI, arXiv 2309.01503). B nodes in a batch, D = width.
final class GraphAttentionPass {
  private let encoder: GraphAttentionNetwork
  private let settings: PassSettings
  private let plan: Plan
  private let memory: Storage
  private let team: GraphAttention.Team
  private let noGradients = (0..<Trainer.shardCount).map { _ in StorageBox([]) }
  /// The neighbourhood of the last forward pass, if it was sampled.
  private var sampled: Neighbourhood?
  /// The whole graph of the last step, and its transpose.
  private var whole: (graph: Graph, transposed: Graph)?

  init(_ encoder: GraphAttentionNetwork, _ settings: PassSettings, workers: Workers) {
    precondition(
      settings.branchPenalties.isEmpty, "graph attention with \(settings.branchPenalties.map(\.name))")
    (self.encoder, self.settings) = (encoder, settings)
    let plan = Plan(encoder, settings)
    self.plan = plan
    memory = Storage(plan.layout)
    team = GraphAttention.Team(
      plan.scratch, (0..<workers.count).map { _ in StorageBox(plan.scratchLayout.range) }, workers)
  }

  /// The slots of a step, whose size depends on the batch and the fanouts, or on the graph if it is not sampled.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    private(set) var scratchLayout = Layout(alignment: 16)
    let sampler: NeighbourSampler?
    let scratch: GraphAttention.ScratchPlan
    /// The weights of the first block for sparse features.
    let columns: GraphAttention.WeightColumns.Plan?
    /// The traces of the blocks above the prefix, from the lowest.
    let blocks: [GraphAttention.TracePlan]
    let gradients: GraphAttention.GradientPlan
    /// The gradients of a block's output and of its input [n, D], in turn.
    let outputGradients: [Slot]
    /// P^k u for the hops k, in turn [n, D], and the place of a propagation; nil without a second view.
    let propagated: [Slot]
    let tile: Slot?

    /// The rows that a task computes: enough for efficient matrix products, and few enough for the cache.
    static let rowsPerTask = 128

    init(_ encoder: GraphAttentionNetwork, _ settings: PassSettings) {
      let layers = encoder.layers[settings.prefix...]
      precondition(!layers.isEmpty, "a pass without blocks")
      let most = Neighbourhood.mostNodes(
        of: settings.nodes, batch: settings.batch, fanouts: settings.fanouts)
      func count(within distance: Int) -> Int { most[min(distance, most.count - 1)] }
      if let fanouts = settings.fanouts {
        sampler = NeighbourSampler(fanouts, nodes: settings.nodes, batch: settings.batch, in: &layout)
      } else {
        sampler = nil
      }
      scratch = GraphAttention.ScratchPlan(
        layers.max { $0.inputs < $1.inputs }!,
        // Fewer rows of wide inputs if memory is scarce.
        chunk: min(Self.rowsPerTask, 16 * settings.chunk), in: &scratchLayout)
      columns =
        settings.prefix == 0
        ? GraphAttention.WeightColumns.Plan(layers.first!, shards: Trainer.shardCount, in: &layout) : nil
      var blocks: [GraphAttention.TracePlan] = []
      for (index, layer) in layers.enumerated() {
        let distance = Self.distance(index, of: layers.count, settings)
        blocks.append(
          GraphAttention.TracePlan(
            layer, nodes: count(within: distance + 1), outputs: count(within: distance), in: &layout))
      }
      self.blocks = blocks
      let largest = Self.distance(0, of: layers.count, settings)
      let (nodes, outputs) = (count(within: largest + 1), count(within: largest))
      gradients = GraphAttention.GradientPlan(layers.first!, nodes: nodes, outputs: outputs, in: &layout)
      var slots: [Slot] = []
      for _ in 0..<min(layers.count, 2) {
        slots.append(layout.add("output gradients", outputs, encoder.output))
      }
      outputGradients = slots
      var hops: [Slot] = []
      for hop in 0..<min(settings.hops, 2) {
        hops.append(
          layout.add("propagated", count(within: settings.hops - hop - 1), encoder.output))
      }
      propagated = hops
      tile =
        settings.hops > 0 ? Propagation.tile(nodes: count(within: settings.hops), in: &layout) : nil
    }

    /// Returns the distance from the batch's nodes up to which a block's output is needed.
    static func distance(_ index: Int, of blocks: Int, _ settings: PassSettings) -> Int {
      settings.hops + blocks - 1 - index
    }
  }
}

// MARK: - Neighbourhoods

extension GraphAttentionPass {
  private func rows(of images: Minibatch) -> NodeRows {
    guard let rows = images.source as? NodeRows else { preconditionFailure("nodes without their graph") }
    precondition(
      rows.fanouts == settings.fanouts && (settings.nodes == rows.graph.count || plan.sampler != nil),
      "\(rows.fanouts ?? []) of \(rows.graph.count) nodes, planned for \(settings.fanouts ?? []) of \(settings.nodes)"
    )
    return rows
  }

  /// Calls `body` with the neighbourhood of a batch: that of the last forward pass, or the whole graph.
  private func withNeighbourhood(of rows: NodeRows, _ body: (Neighbourhood) -> Void) {
    if let sampled { return body(sampled) }
    let transposed = transposed(rows.graph)
    rows.graph.withAdjacency { sources in
      transposed.withAdjacency { body(Neighbourhood(whole: sources, takers: $0)) }
    }
  }

  private func transposed(_ graph: Graph) -> Graph {
    // All steps have the same arrays, so that the comparison takes no time.
    if let whole, whole.graph == graph { return whole.transposed }
    let transposed = graph.transposed()
    whole = (graph, transposed)
    return transposed
  }

  /// Calls `body` with each node of a batch: its place in the batch, and its row among the outputs.
  private func forEachTarget(of images: Minibatch, _ rows: NodeRows, _ body: (Int, Int) -> Void) {
    for (index, image) in images.images.enumerated() {
      body(index, plan.sampler == nil ? rows.nodes[image] : index)
    }
  }

  /// Returns the numbers of nodes that a block takes and that it has outputs for.
  private func counts(_ index: Int, _ neighbourhood: Neighbourhood) -> (nodes: Int, outputs: Int) {
    let distance = Plan.distance(index, of: plan.blocks.count, settings)
    return (neighbourhood.count(within: distance + 1), neighbourhood.count(within: distance))
  }

  private func trace(_ index: Int, _ neighbourhood: Neighbourhood) -> GraphAttention.Trace {
    let counts = counts(index, neighbourhood)
    return plan.blocks[index].trace(memory, nodes: counts.nodes, outputs: counts.outputs)
  }

  /// Returns the inputs of a block: the rows' for the lowest, the output of the block below for the others.
  private func inputs(
    _ index: Int, _ rows: NodeRows, _ neighbourhood: Neighbourhood
  ) -> GraphAttention.Inputs {
    index == 0
      ? GraphAttention.Inputs(rows.inputs, nodes: neighbourhood.nodes)
      : GraphAttention.Inputs(StoredValues(trace(index - 1, neighbourhood).output))
  }

  private func columns(_ index: Int) -> GraphAttention.WeightColumns? {
    index == 0 ? plan.columns?.columns(memory) : nil
  }

  private func isTrained(_ index: Int) -> Bool { settings.trainedBlocks.contains(settings.prefix + index) }

  /// Returns the place of P^hop u or of its gradient [n, D].
  private func propagated(_ hop: Int, _ neighbourhood: Neighbourhood) -> Matrix {
    memory[plan.propagated[(hop - 1) % 2]].rows(0..<neighbourhood.count(within: settings.hops - hop))
  }
}

// MARK: - Forward and backward

extension GraphAttentionPass: EncoderPass {
  func forward(
    _ parameters: borrowing Storage, _ images: Minibatch, into pooled: Matrix, branches: [PooledBranch]
  ) {
    let rows = rows(of: images)
    if let sampler = plan.sampler {
      var random = RandomNumbers(rows.seed, "neighbours", images.epoch, images.step)
      rows.graph.withAdjacency { graph in
        sampled = sampler.sample(images.images.lazy.map { rows.nodes[$0] }, from: graph, &random, memory)
      }
    }
    withNeighbourhood(of: rows) { neighbourhood in
      // The traces of branches are not needed, so they use those of the online branch, which runs last.
      for branch in branches {
        advance(branch.parameters.storage, frozen: parameters, rows, neighbourhood)
        pool(images, rows, neighbourhood, into: branch.pooled)
      }
      advance(parameters, frozen: parameters, rows, neighbourhood)
      pool(images, rows, neighbourhood, into: pooled)
    }
  }

  /// Computes the blocks above the prefix, with the parameters `trained` for trained blocks and `frozen` for the others.
  private func advance(
    _ trained: borrowing Storage, frozen: borrowing Storage, _ rows: NodeRows, _ neighbourhood: Neighbourhood
  ) {
    for (index, layer) in encoder.layers[settings.prefix...].enumerated() {
      let (x, trace) = (inputs(index, rows, neighbourhood), trace(index, neighbourhood))
      if isTrained(index) {
        layer.forward(
          x, neighbourhood.sources, trace, trained, team, columns: columns(index))
      } else {
        layer.forward(
          x, neighbourhood.sources, trace, frozen, team, columns: columns(index))
      }
    }
  }

  /// Writes u of the batch's nodes, and P^hops u if there is a second view.
  private func pool(
    _ images: Minibatch, _ rows: NodeRows, _ neighbourhood: Neighbourhood, into pooled: Matrix
  ) {
    let u = trace(plan.blocks.count - 1, neighbourhood).output
    var v = u
    for hop in 0..<settings.hops {
      let next = propagated(hop + 1, neighbourhood)
      Propagation.mean.forward(
        v, on: neighbourhood.sources.prefix(next.rows), into: next, tile: tile(v.rows), team.workers)
      v = next
    }
    forEachTarget(of: images, rows) { index, row in
      pooled.row(index).update(from: u.row(row), count: u.columns)
      guard settings.views > 1 else { return }
      pooled.row(settings.batch + index).update(from: v.row(row), count: v.columns)
    }
  }

  private func tile(_ rows: Int) -> Matrix { memory[plan.tile!].rows(0..<rows) }

  func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ images: Minibatch, pooled: Matrix,
    into shards: [StorageBox]
  ) -> [LossTerms.Term] {
    let rows = rows(of: images)
    withNeighbourhood(of: rows) { neighbourhood in
      var (current, other) = (0, plan.outputGradients.count - 1)
      unpool(d, images, rows, neighbourhood, into: gradient(current, plan.blocks.count - 1, neighbourhood))
      for index in plan.blocks.indices.reversed() {
        let counts = counts(index, neighbourhood)
        encoder.layers[settings.prefix + index].backward(
          gradient(current, index, neighbourhood), input: inputs(index, rows, neighbourhood),
          into: index > 0 ? gradient(other, index - 1, neighbourhood) : nil, neighbourhood,
          trace(index, neighbourhood),
          plan.gradients.gradients(memory, nodes: counts.nodes, outputs: counts.outputs), parameters,
          into: isTrained(index) ? shards : noGradients, team, columns: columns(index))
        swap(&current, &other)
      }
    }
    return []
  }

  /// Returns the place of the gradient of a block's output [m, D].
  private func gradient(_ place: Int, _ index: Int, _ neighbourhood: Neighbourhood) -> Matrix {
    memory[plan.outputGradients[place]].rows(0..<counts(index, neighbourhood).outputs)
  }

  /// du = the gradient of view 0 + (P^hops)ᵀ the gradient of view 1                            d [V·B, D], du [m, D]
  private func unpool(
    _ d: Matrix, _ images: Minibatch, _ rows: NodeRows, _ neighbourhood: Neighbourhood, into du: Matrix
  ) {
    let last = settings.hops > 0 ? propagated(settings.hops, neighbourhood) : du
    Elementwise.fill(last, 0)
    if settings.views > 1 {
      forEachTarget(of: images, rows) { index, row in
        Elementwise.add(d.row(settings.batch + index), to: last.row(row), count: d.columns)
      }
    }
    for hop in (0..<settings.hops).reversed() {
      let dv = propagated(hop + 1, neighbourhood)
      let below = hop > 0 ? propagated(hop, neighbourhood) : du
      Propagation.mean.backward(
        dv, on: neighbourhood.sources.prefix(dv.rows), takers: neighbourhood.takers.prefix(below.rows),
        into: below, tile: tile(below.rows), team.workers)
    }
    forEachTarget(of: images, rows) { index, row in
      Elementwise.add(d.row(index), to: du.row(row), count: d.columns)
    }
  }
}
