/// A graph attention network whose blocks can be trained one after the other (LRGI, arXiv 2309.01503).
///
/// N nodes, F features, D = width. It has no stem and no readout: the output of the last block is the representation of
/// a node [D].
package struct GraphAttentionNetwork: NodeEncoder {
  package let shape: GraphAttentionConfiguration
  package let blocks: [Int]
  let layers: [GraphAttention]

  /// Adds the parameters of each block I, `blocks.I.conv.…` and `blocks.I.skip.weight`, with PyTorch Geometric's names.
  ///
  /// - Parameter slope: the slope of LeakyReLU below 0.
  package init(
    _ shape: GraphAttentionConfiguration, blocks: [Int], slope: Float = 0.2, in layout: inout Layout
  ) {
    (self.shape, self.blocks) = (shape, blocks)
    var layers: [GraphAttention] = []
    for (position, index) in blocks.enumerated() {
      layout.part = "blocks.\(index)"
      layers.append(
        GraphAttention(
          "blocks.\(index).", inputs: position == 0 ? shape.features : shape.width, width: shape.width,
          heads: shape.heads, skip: shape.skip, slope: slope, in: &layout))
    }
    self.layers = layers
  }

  package var output: Int { shape.width }
  package var inputCount: Int { shape.features }

  /// The operations of a node whose neighbours are not counted; sums over neighbours are no matrix products.
  package var operations: EncoderOperations {
    let blocks = layers.map(\.operations)
    return EncoderOperations(stem: 0, blocks: blocks, lastBlock: blocks.last ?? 0, readout: 0)
  }

  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    GraphAttention.distribution(of: entry)
  }

  package func makePass(_ settings: PassSettings, workers: Workers) -> any EncoderPass {
    GraphAttentionPass(self, settings, workers: workers)
  }

  package func passMemory(_ settings: PassSettings, workers: Int) -> [(name: String, bytes: Int)] {
    let plan = GraphAttentionPass.Plan(self, settings)
    return [("traces", plan.layout.bytes), ("workers", workers * plan.scratchLayout.bytes)]
  }

  package func makeRunner(chunk: Int) -> any EncoderRunner {
    preconditionFailure("nodes of a graph without the graph")
  }

  package func runnerMemory(chunk: Int) -> Int { 0 }
}

// MARK: - Whole graphs

extension GraphAttentionNetwork {
  package var propagatesInputs: Bool { false }

  package func propagate(_ x: Matrix, on graph: Graph, into z: Matrix, _ workers: Workers) {
    Elementwise.copy(x, to: z)
  }

  package func advance(
    block position: Int, _ z: Matrix, on graph: Graph, into y: Matrix, _ parameters: borrowing Storage,
    _ workers: Workers
  ) {
    encode(block: position, StoredValues(z), on: graph, into: y, parameters, workers)
  }

  /// Sparse features are not expanded.
  package func encode(
    block position: Int, _ x: any NodeValues, on graph: Graph, into y: Matrix,
    _ parameters: borrowing Storage, _ workers: Workers
  ) {
    precondition(
      x.count == graph.count && y.rows == graph.count, "\(x.count) and \(y.rows) rows of \(graph.count) nodes"
    )
    let layer = layers[position]
    var (layout, scratchLayout) = (Layout(alignment: 16), Layout(alignment: 16))
    let plan = GraphAttention.TracePlan(layer, nodes: graph.count, outputs: graph.count, in: &layout)
    let columnPlan =
      x.isSparse ? GraphAttention.WeightColumns.Plan(layer, shards: 0, in: &layout) : nil
    let scratchPlan = GraphAttention.ScratchPlan(
      layer, chunk: GraphAttentionPass.Plan.rowsPerTask, in: &scratchLayout)
    let work = Storage(layout)
    let scratch = (0..<workers.count).map { _ in StorageBox(scratchLayout.range) }
    let team = GraphAttention.Team(scratchPlan, scratch, workers)
    let trace = plan.trace(work, nodes: graph.count, outputs: graph.count)
    graph.withAdjacency {
      layer.forward(
        GraphAttention.Inputs(x), $0, trace, parameters, team, columns: columnPlan?.columns(work))
    }
    Elementwise.copy(trace.output, to: y)
  }
}
