/// The part of an L-GCN in a training step.
///
/// If only the last block can train, a step is row by row: it takes the propagated inputs z of the batch's nodes. With
/// more blocks above the prefix a node's output depends on its neighbourhood, and a step computes all nodes of the graph,
/// of which the batch's nodes have a loss. B nodes in a batch, N in the graph, F and H = widths of a block's input and
/// output, S shards.
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
    /// The inputs of the batch's nodes [B, F], or the work space of compressed ones; nil if a step is on the graph.
    let rows: Slot?
    /// The transposed weights of the lowest block and its gradients in each shard [(1 + S) F, H], for compressed inputs. It
    /// has the place of ``rows``, if there is one.
    let transposed: Slot
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
      let inputs = encoder.featureSize(behind: settings.prefix)
      let compressed = (1 + Trainer.shardCount) * inputs * width
      let place = layout.add("inputs", max(isByRows ? settings.batch * inputs : 0, compressed))
      rows = isByRows ? Slot(offset: place.offset, rows: settings.batch, columns: inputs) : nil
      transposed = Slot(offset: place.offset, rows: (1 + Trainer.shardCount) * inputs, columns: width)
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
    if let z = compressed(images) { return forward(z, images.images, into: pooled, parameters) }
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
    if let slot = plan.rows {
      if let z = compressed(images) {
        backward(d, output: pooled, z, images.images, into: shards)
      } else {
        backward(settings.prefix, d, output: pooled, input: memory[slot], into: nil, parameters, shards)
      }
    } else {
      backward(d, parameters, graph(of: images), images, into: shards)
    }
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

// MARK: - Compressed inputs

extension GraphConvolutionPass {
  private func compressed(_ images: Minibatch) -> CompressedRows? {
    guard case .compressed(let rows) = (images.source as? PropagatedRows)?.inputs else { return nil }
    return rows
  }

  /// The transposed weights (0), and the gradients of shards (from 1) [F, H].
  private func transposed(_ index: Int, _ linear: Linear) -> Matrix {
    let inputs = linear.weight.columns
    return memory[plan.transposed].rows(index * inputs..<(index + 1) * inputs)
  }

  /// Computes the lowest block for some rows of z.
  private func forward(
    _ z: CompressedRows, _ rows: some RandomAccessCollection<Int>, into y: Matrix,
    _ parameters: borrowing Storage
  ) {
    let linear = encoder.layers[settings.prefix].linear
    let (weights, w) = (parameters[linear.weight], transposed(0, linear))
    for output in 0..<weights.rows {
      let row = weights.row(output)
      for input in 0..<weights.columns { w[input, output] = row[input] }
    }
    GraphConvolution.forParts(of: y.rows, workers) { part, _ in
      let y = y.rows(part)
      z.product(rows.dropFirst(part.lowerBound).prefix(part.count), w, into: y)
      Elementwise.relu(y)
    }
  }

  /// Adds the gradient of the lowest block's weights to the shards, each from its own rows of z.
  private func backward(
    _ dy: Matrix, output: Matrix, _ z: CompressedRows, _ rows: some RandomAccessCollection<Int>,
    into shards: [StorageBox]
  ) {
    guard settings.trainedBlocks.contains(settings.prefix) else { return }
    let linear = encoder.layers[settings.prefix].linear
    workers.run(shards.count) { shard, _ in
      let part = Self.rows(of: shard, of: shards.count, in: dy.rows)
      let (dy, dw) = (dy.rows(part), transposed(1 + shard, linear))
      Elementwise.reluBackward(dy, output: output.rows(part))
      Elementwise.fill(dw, 0)
      z.addProduct(rows.dropFirst(part.lowerBound).prefix(part.count), dy, to: dw)
      let gradients = shards[shard].storage[linear.weight]
      for output in 0..<gradients.rows {
        let row = gradients.row(output)
        for input in 0..<gradients.columns { row[input] += dw[input, output] }
      }
    }
  }
}

// MARK: - Whole graphs

extension GraphConvolutionPass {
  private func graph(of images: Minibatch) -> (rows: PropagatedRows, graph: Graph) {
    guard let rows = images.source as? PropagatedRows, let graph = rows.graph else {
      preconditionFailure("a batch without a graph")
    }
    precondition(graph.count == settings.nodes, "\(graph.count) nodes instead of \(settings.nodes)")
    return (rows, graph)
  }

  private func forward(
    _ parameters: borrowing Storage, _ source: (rows: PropagatedRows, graph: Graph), _ images: Minibatch,
    into pooled: Matrix
  ) {
    for (index, block) in plan.blocks.enumerated() {
      let (layer, y) = (encoder.layers[settings.prefix + index], memory[block.outputs])
      if let slot = block.inputs {
        let z = memory[slot]
        layer.propagation.forward(
          memory[plan.blocks[index - 1].outputs], on: source.graph, into: z, tile: memory[plan.tile], workers)
        layer.forward(z, into: y, parameters, workers)
        continue
      }
      switch source.rows.inputs {
      case .dense(let values): layer.forward(values.values, into: y, parameters, workers)
      case .compressed(let z): forward(z, 0..<y.rows, into: y, parameters)
      }
    }
    let outputs = memory[plan.blocks[plan.blocks.count - 1].outputs]
    for (row, image) in images.images.enumerated() {
      pooled.row(row).update(from: outputs.row(source.rows.nodes[image]), count: outputs.columns)
    }
  }

  private func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ source: (rows: PropagatedRows, graph: Graph),
    _ images: Minibatch, into shards: [StorageBox]
  ) {
    let (dx, dz) = (memory[plan.gradients], memory[plan.inputGradients])
    Elementwise.fill(dx, 0)
    for (row, image) in images.images.enumerated() {
      Elementwise.add(d.row(row), to: dx.row(source.rows.nodes[image]), count: d.columns)
    }
    for (index, block) in plan.blocks.enumerated().reversed() {
      let (position, y) = (settings.prefix + index, memory[block.outputs])
      if let slot = block.inputs {
        backward(position, dx, output: y, input: memory[slot], into: dz, parameters, shards)
        encoder.layers[position].propagation.backward(
          dz, on: source.graph, transposed: transposed(source.graph), into: dx, tile: memory[plan.tile],
          workers)
        continue
      }
      switch source.rows.inputs {
      case .dense(let values):
        backward(position, dx, output: y, input: values.values, into: nil, parameters, shards)
      case .compressed(let z): backward(dx, output: y, z, 0..<y.rows, into: shards)
      }
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
