/// The frozen blocks of a node encoder on a graph: their outputs for all nodes, and the rows that a stage trains on. A
/// stage's outputs are computed once, from those of the stage before.
package struct NodePrefix: Sendable {
  package let graph: Graph
  private let features: any NodeValues
  /// The outputs of the frozen blocks; nil without any.
  private var outputs: StoredValues?
  /// The number of frozen blocks.
  package private(set) var depth = 0

  /// Starts with the features of the nodes, without frozen blocks.
  package init(_ graph: Graph, features: any NodeValues) {
    precondition(features.count == graph.count, "features of \(features.count) of \(graph.count) nodes")
    (self.graph, self.features) = (graph, features)
  }

  /// The inputs of the block above, before their propagation [N, F].
  private var values: any NodeValues { outputs ?? features }

  /// Computes the outputs of the blocks up to `depth`; from the features again, if fewer blocks are frozen than before.
  package mutating func freeze(
    to depth: Int, of encoder: any NodeEncoder, _ parameters: borrowing Storage, _ workers: Workers
  ) {
    if depth < self.depth { (outputs, self.depth) = (nil, 0) }
    while self.depth < depth {
      let width = encoder.featureSize(behind: self.depth + 1)
      let place = StorageBox(0..<graph.count * width)
      encoder.encode(
        block: self.depth, values, on: graph, into: place.storage.all.reshaped(graph.count, width),
        parameters, workers)
      (outputs, self.depth) = (StoredValues(place, width: width), self.depth + 1)
    }
  }

  /// Returns the rows of a stage above the frozen blocks: of `nodes`, with a label for each if the objective uses labels.
  ///
  /// If the encoder propagates the inputs of a block once a stage, the rows are ``PropagatedRows``, of `nodes` alone if
  /// only the last block trains; otherwise they are ``NodeRows`` with the values of all nodes.
  package func rows(
    of nodes: [Int], labels: [Int]?, for encoder: any NodeEncoder, fanouts: [Int]? = nil, seed: UInt64 = 0,
    _ workers: Workers
  ) -> any RowSource {
    if encoder.propagatesInputs {
      let isByRows = depth == encoder.blocks.count - 1
      return PropagatedRows(
        isByRows ? propagated(nodes, encoder, workers) : propagatedAll(encoder, workers),
        graph: isByRows ? nil : graph, nodes: nodes, labels: labels, givesFeatures: depth > 0)
    }
    return NodeRows(
      graph, inputs: values, nodes: nodes, labels: labels, givesFeatures: depth > 0, fanouts: fanouts,
      seed: seed)
  }

  /// Returns the propagated inputs of some nodes.
  private func propagated(
    _ nodes: [Int], _ encoder: any NodeEncoder, _ workers: Workers
  ) -> PropagatedRows.Inputs {
    let (values, width) = (values, values.width)
    func write(_ row: Int, _ place: UnsafeMutablePointer<Float>) {
      encoder.propagate(values, node: nodes[row], on: graph, into: place)
    }
    if let rows = CompressedRows(count: nodes.count, width: width, workers, write: write) {
      return .compressed(rows)
    }
    let place = StorageBox(0..<nodes.count * width)
    let (start, part) = (place.storage.all.start, 64)
    workers.run((nodes.count + part - 1) / part) { task, _ in
      for row in task * part..<min((task + 1) * part, nodes.count) { write(row, start + row * width) }
    }
    return .dense(StoredValues(place, width: width))
  }

  /// Returns the propagated inputs of all nodes.
  private func propagatedAll(_ encoder: any NodeEncoder, _ workers: Workers) -> PropagatedRows.Inputs {
    let (values, width) = (values, values.width)
    let rows = CompressedRows(count: graph.count, width: width, workers) {
      encoder.propagate(values, node: $0, on: graph, into: $1)
    }
    if let rows { return .compressed(rows) }
    let place = StorageBox(0..<graph.count * width)
    let matrix = place.storage.all.reshaped(graph.count, width)
    values.write(into: matrix, workers)
    encoder.propagate(matrix, on: graph, into: matrix, workers)
    return .dense(StoredValues(place, width: width))
  }
}

/// The rows of a stage whose inputs are propagated once.
package struct PropagatedRows: RowSource {
  package enum Inputs: Sendable {
    case dense(StoredValues)
    case compressed(CompressedRows)

    /// The number of rows.
    var count: Int {
      switch self {
      case .dense(let values): values.count
      case .compressed(let rows): rows.count
      }
    }
  }

  /// The inputs of the rows or, with a graph, of all its nodes.
  package let inputs: Inputs
  /// The graph that further blocks use; nil if there are none.
  package let graph: Graph?
  /// The node of each row.
  let nodes: [Int]
  package let labels: [Int]?
  package let givesFeatures: Bool

  fileprivate init(_ inputs: Inputs, graph: Graph?, nodes: [Int], labels: [Int]?, givesFeatures: Bool) {
    precondition(
      inputs.count == graph?.count ?? nodes.count && labels.map { $0.count == nodes.count } ?? true,
      "\(inputs.count) rows, \(nodes.count) nodes")
    (self.inputs, self.graph, self.nodes) = (inputs, graph, nodes)
    (self.labels, self.givesFeatures) = (labels, givesFeatures)
  }

  package var count: Int { nodes.count }

  package func write(
    view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>
  ) {
    let row = graph == nil ? image : nodes[image]
    switch inputs {
    case .dense(let values): values.write(row, into: place)
    case .compressed(let rows): rows.write(row, into: place)
    }
  }
}
