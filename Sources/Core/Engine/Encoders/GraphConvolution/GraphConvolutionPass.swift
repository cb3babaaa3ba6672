/// The part of an L-GCN in a training step.
///
/// If only the last block can train, a step is row by row: it takes the propagated inputs z of the batch's nodes. With
/// more blocks above the prefix a node's output depends on its neighbourhood, and a step computes all nodes of the graph,
/// of which the batch's nodes have a loss. B nodes in a batch, N in the graph, F and H = widths of a block's input and
/// output.
final class GraphConvolutionPass: EncoderPass {
  private let encoder: GraphConvolutionNetwork
  private let settings: PassSettings
  private let plan: Plan
  private let memory: Storage
  private let workers: Workers
  private let noGradients = StorageBox([])
  /// The graph of the last step and its transpose.
  private var reversed: (graph: Graph, transposed: Graph)?

  /// The values of the blocks above the prefix.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    /// The inputs of the batch's nodes [B, F], if a step is row by row.
    let rows: Slot?
    /// The blocks of a step on the whole graph, from the lowest.
    let blocks: [Block]
    /// The gradients of a block's output and inputs [N, H], and the place of a propagation.
    let gradients, inputGradients, tile: Slot

    struct Block: Sendable {
      /// z [N, H]; nil for the lowest block, whose inputs the rows have.
      let inputs: Slot?
      /// x [N, H].
      let outputs: Slot
    }

    init(_ encoder: GraphConvolutionNetwork, _ settings: PassSettings) {
      let (count, width) = (encoder.layers.count - settings.prefix, encoder.shape.width)
      let isByRows = count == 1
      precondition(count > 0 && settings.views == 1, "\(settings.views) views of \(count) blocks")
      precondition(
        settings.branchPenalties.isEmpty, "a graph convolution with \(settings.branchPenalties.map(\.name))")
      precondition(isByRows || settings.nodes > 0, "a step on a graph without nodes")
      rows =
        isByRows
        ? layout.add("inputs", settings.batch, encoder.featureSize(behind: settings.prefix)) : nil
      let nodes = isByRows ? 0 : settings.nodes
      var blocks: [Block] = []
      for index in 0..<(isByRows ? 0 : count) {
        let inputs = index == 0 ? nil : layout.add("block inputs", nodes, width)
        blocks.append(Block(inputs: inputs, outputs: layout.add("block outputs", nodes, width)))
      }
      self.blocks = blocks
      gradients = layout.add("gradients", nodes, width)
      inputGradients = layout.add("input gradients", nodes, width)
      tile = Propagation.tile(nodes: nodes, in: &layout)
    }
  }

  init(_ encoder: GraphConvolutionNetwork, _ settings: PassSettings, workers: Workers) {
    (self.encoder, self.settings, self.workers) = (encoder, settings, workers)
    plan = Plan(encoder, settings)
    memory = Storage(plan.layout)
  }

  func forward(
    _ parameters: borrowing Storage, _ images: Minibatch, into pooled: Matrix, branches: [PooledBranch]
  ) {
    precondition(branches.isEmpty, "a graph convolution with a branch")
    guard let slot = plan.rows else { return forward(parameters, graph(of: images), images, into: pooled) }
    let z = memory[slot]
    // More parts would pack the weights of a wide layer too often.
    workers.run(Trainer.shardCount) { part, worker in
      let rows = Self.rows(of: part, of: Trainer.shardCount, in: z.rows)
      for row in rows { images.write(view: 0, image: row, worker: worker, into: z.row(row)) }
      encoder.layers[settings.prefix].forward(z.rows(rows), into: pooled.rows(rows), parameters)
    }
  }

  func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ images: Minibatch, pooled: Matrix,
    into shards: [StorageBox]
  ) -> [LossTerms.Term] {
    guard let slot = plan.rows else {
      backward(d, parameters, graph(of: images), images, into: shards)
      return []
    }
    backward(settings.prefix, d, output: pooled, input: memory[slot], into: nil, parameters, shards)
    return []
  }

  /// Returns the rows of a part of `parts` about equal ones.
  private static func rows(of part: Int, of parts: Int, in count: Int) -> Range<Int> {
    part * count / parts..<(part + 1) * count / parts
  }

  /// Adds the gradients of a block's weights to the shards, each from its own rows.
  private func backward(
    _ position: Int, _ d: Matrix, output: Matrix, input z: Matrix, into dz: Matrix?,
    _ parameters: borrowing Storage, _ shards: [StorageBox]
  ) {
    let layer = encoder.layers[position]
    let isTrained = settings.trainedBlocks.contains(position)
    workers.run(shards.count) { shard, _ in
      let rows = Self.rows(of: shard, of: shards.count, in: d.rows)
      layer.backward(
        d.rows(rows), output: output.rows(rows), input: z.rows(rows), into: dz?.rows(rows), parameters,
        (isTrained ? shards[shard] : noGradients).storage)
    }
  }
}

// MARK: - Whole graphs

extension GraphConvolutionPass {
  private func graph(of images: Minibatch) -> NodeRows {
    guard let rows = images.source as? NodeRows else { preconditionFailure("a batch without a graph") }
    precondition(
      rows.graph.count == settings.nodes, "\(rows.graph.count) nodes instead of \(settings.nodes)")
    return rows
  }

  private func inputs(_ index: Int, _ rows: NodeRows) -> Matrix {
    if let slot = plan.blocks[index].inputs { return memory[slot] }
    guard let matrix = rows.inputs.matrix else { preconditionFailure("inputs that are not propagated") }
    return matrix
  }

  private func forward(
    _ parameters: borrowing Storage, _ rows: NodeRows, _ images: Minibatch, into pooled: Matrix
  ) {
    for (index, block) in plan.blocks.enumerated() {
      let (layer, z) = (encoder.layers[settings.prefix + index], inputs(index, rows))
      if index > 0 {
        layer.propagation.forward(
          memory[plan.blocks[index - 1].outputs], on: rows.graph, into: z, tile: memory[plan.tile], workers)
      }
      layer.forward(z, into: memory[block.outputs], parameters, workers)
    }
    let outputs = memory[plan.blocks[plan.blocks.count - 1].outputs]
    for (row, image) in images.images.enumerated() {
      let node = rows.nodes[image]
      pooled.row(row).update(from: outputs.row(node), count: outputs.columns)
    }
  }

  private func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ rows: NodeRows, _ images: Minibatch,
    into shards: [StorageBox]
  ) {
    let (dx, dz) = (memory[plan.gradients], memory[plan.inputGradients])
    Elementwise.fill(dx, 0)
    for (row, image) in images.images.enumerated() {
      Elementwise.add(d.row(row), to: dx.row(rows.nodes[image]), count: d.columns)
    }
    for (index, block) in plan.blocks.enumerated().reversed() {
      let position = settings.prefix + index
      backward(
        position, dx, output: memory[block.outputs], input: inputs(index, rows), into: index > 0 ? dz : nil,
        parameters, shards)
      guard index > 0 else { continue }
      encoder.layers[position].propagation.backward(
        dz, on: rows.graph, transposed: transposed(rows.graph), into: dx, tile: memory[plan.tile], workers)
    }
  }

  private func transposed(_ graph: Graph) -> Graph {
    // All steps have the same arrays, so that the comparison takes no time.
    if let reversed, reversed.graph == graph { return reversed.transposed }
    let transposed = graph.transposed()
    reversed = (graph, transposed)
    return transposed
  }
}
