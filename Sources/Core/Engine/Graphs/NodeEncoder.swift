/// An encoder of the nodes of a graph: a block's output for a node depends on the node's neighbours.
///
/// N nodes. A block takes inputs z that ``propagate(_:on:into:_:)`` makes of the output x of the block below, or of the
/// features of the nodes, once a stage. Its stem has no parameters.
package protocol NodeEncoder: Encoder {
  /// Whether the inputs of a block differ from the output of the block below, so that they are computed and kept. A
  /// block that does not propagate takes x itself, and uses the graph within the block.
  var propagatesInputs: Bool { get }
  /// Computes z [N, F] = P x from x [N, F], row by row, in parallel.
  func propagate(_ x: Matrix, on graph: Graph, into z: Matrix, _ workers: Workers)
  /// Computes the row of P x [F] of a node.
  func propagate(_ x: any NodeValues, node: Int, on graph: Graph, into place: UnsafeMutablePointer<Float>)
  /// Computes the output y [N, D] of the block at a position from its inputs z [N, F] for all nodes of a graph.
  func advance(
    block position: Int, _ z: Matrix, on graph: Graph, into y: Matrix, _ parameters: borrowing Storage,
    _ workers: Workers)
  /// Computes the output y [N, D] of the block at a position from the output x [N, F] of the block below, or from the
  /// features.
  func encode(
    block position: Int, _ x: any NodeValues, on graph: Graph, into y: Matrix,
    _ parameters: borrowing Storage,
    _ workers: Workers)
}

extension NodeEncoder {
  // All blocks have the width of the output, which is the representation of a node.
  package var pooledWidth: Int { output }
  package var readout: Readout { .identity }
  package func featureSize(behind depth: Int) -> Int { depth == 0 ? inputCount : output }
  package func pooledWidth(behind depth: Int) -> Int { output }
  package func makeReadout(_ name: String, behind depth: Int, in layout: inout Layout) -> Readout {
    .identity
  }

  /// The inputs are the values themselves.
  package func propagate(
    _ x: any NodeValues, node: Int, on graph: Graph, into place: UnsafeMutablePointer<Float>
  ) {
    precondition(!propagatesInputs, "\(type(of: self)) propagates its inputs")
    x.write(node, into: place)
  }

  package func encode(
    block position: Int, _ x: any NodeValues, on graph: Graph, into y: Matrix,
    _ parameters: borrowing Storage, _ workers: Workers
  ) {
    if !propagatesInputs, let x = x.matrix {
      return advance(block: position, x, on: graph, into: y, parameters, workers)
    }
    let place = Storage(0..<x.count * x.width)
    let z = place.all.reshaped(x.count, x.width)
    x.write(into: z, workers)
    if propagatesInputs { propagate(z, on: graph, into: z, workers) }
    advance(block: position, z, on: graph, into: y, parameters, workers)
  }

  /// Computes the outputs of all blocks for all nodes of a graph, one block at a time, and calls `body(depth, y)` with
  /// those after each [N, D]. Their memory does not grow with the number of blocks.
  ///
  /// - Parameter features: the features of the nodes [N, F].
  package func forEachDepth(
    _ features: any NodeValues, on graph: Graph, _ parameters: borrowing Storage, _ workers: Workers,
    _ body: (_ depth: Int, _ y: Matrix) throws -> Void
  ) rethrows {
    precondition(
      features.count == graph.count && features.width == inputCount,
      "[\(features.count), \(features.width)] of \(graph.count) nodes")
    let width = (1...blocks.count).map(featureSize).max() ?? 0
    let places = (0..<min(blocks.count, 2)).map { _ in StorageBox(0..<graph.count * width) }
    var below = features
    for depth in 1...blocks.count {
      let y = Matrix(
        places[depth % places.count].storage.all.start, rows: graph.count, columns: featureSize(behind: depth)
      )
      encode(block: depth - 1, below, on: graph, into: y, parameters, workers)
      try body(depth, y)
      below = StoredValues(y)
    }
  }
}

/// Nodes of a graph as the rows of a training: each row has the inputs of the lowest trained block.
///
/// A pass that needs the neighbours of a batch's nodes takes them from ``graph`` and ``inputs``.
package struct NodeRows: RowSource {
  package let graph: Graph
  /// The inputs of the lowest block that is not frozen, for all nodes of the graph [N, F]; not written any more.
  package let inputs: any NodeValues
  /// The node of each row.
  package let nodes: [Int]
  /// The label of each row's node; nil if the objective does not use labels.
  package let labels: [Int]?
  /// Whether blocks below are frozen.
  package let givesFeatures: Bool
  /// The numbers of neighbours that a step samples at each hop; nil for all neighbours.
  package var fanouts: [Int]?
  /// The seed of the sampling.
  package var seed: UInt64

  package init(
    _ graph: Graph, inputs: any NodeValues, nodes: [Int], labels: [Int]?, givesFeatures: Bool,
    fanouts: [Int]? = nil, seed: UInt64 = 0
  ) {
    precondition(inputs.count == graph.count, "inputs of \(inputs.count) of \(graph.count) nodes")
    precondition(labels.map { $0.count == nodes.count } ?? true, "labels of \(nodes.count) nodes")
    (self.graph, self.inputs, self.nodes, self.labels) = (graph, inputs, nodes, labels)
    (self.givesFeatures, self.fanouts, self.seed) = (givesFeatures, fanouts, seed)
  }

  package var count: Int { nodes.count }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>
  ) {
    inputs.write(nodes[image], into: place)
  }
}
