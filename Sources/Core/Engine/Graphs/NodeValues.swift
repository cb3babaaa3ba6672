/// The values of the nodes of a graph [N, F]: their features, or the outputs of a block. Several threads read them at
/// once.
package protocol NodeValues: Sendable {
  /// The number of nodes N.
  var count: Int { get }
  /// The number of values F of a node.
  var width: Int { get }
  /// The values as a matrix [N, F], if they are stored as one.
  var matrix: Matrix? { get }
  /// Writes the values of a node.
  func write(_ node: Int, into place: UnsafeMutablePointer<Float>)
  /// Adds the values of a node times `scale`.
  func add(_ node: Int, scale: Float, to place: UnsafeMutablePointer<Float>)
}

extension NodeValues {
  package var matrix: Matrix? { nil }
}

/// Values in memory. Nothing may write them while they are read.
package struct StoredValues: NodeValues, @unchecked Sendable {
  private let values: Matrix
  /// Owns the memory, unless the caller does.
  private let owner: StorageBox?

  /// Creates values of `width` floats for each node.
  package init(_ owner: StorageBox, width: Int) {
    self.owner = owner
    values = owner.storage.all.reshaped(owner.storage.count / width, width)
  }

  /// Creates values [N, F] that the caller keeps in memory.
  package init(_ values: Matrix) { (self.values, owner) = (values, nil) }

  package var count: Int { values.rows }
  package var width: Int { values.columns }
  package var matrix: Matrix? { values }

  package func write(_ node: Int, into place: UnsafeMutablePointer<Float>) {
    place.update(from: values.row(node), count: width)
  }

  package func add(_ node: Int, scale: Float, to place: UnsafeMutablePointer<Float>) {
    Elementwise.add(values.row(node), to: place, count: width, scale: scale)
  }
}

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
  /// If only the last block trains, and its inputs are propagated once a stage, the rows are those inputs alone;
  /// otherwise they are ``NodeRows`` with the inputs of all nodes.
  package func rows(
    of nodes: [Int], labels: [Int]?, for encoder: any NodeEncoder, fanouts: [Int]? = nil, seed: UInt64 = 0,
    _ workers: Workers
  ) -> any RowSource {
    let width = values.width
    if encoder.propagatesInputs, depth == encoder.blocks.count - 1 {
      let place = StorageBox(0..<nodes.count * width)
      encoder.propagate(
        values, of: nodes, on: graph, into: place.storage.all.reshaped(nodes.count, width), workers)
      return PropagatedRows(StoredValues(place, width: width), labels: labels, givesFeatures: depth > 0)
    }
    let inputs = StorageBox(0..<graph.count * width)
    let matrix = inputs.storage.all.reshaped(graph.count, width)
    values.write(into: matrix, workers)
    if encoder.propagatesInputs { encoder.propagate(matrix, on: graph, into: matrix, workers) }
    return NodeRows(
      graph, inputs: inputs, width: width, nodes: nodes, labels: labels, givesFeatures: depth > 0,
      fanouts: fanouts, seed: seed)
  }

  /// Rows that are trained on without the graph.
  private struct PropagatedRows: RowSource {
    let rows: StoredValues
    let labels: [Int]?
    let givesFeatures: Bool

    init(_ rows: StoredValues, labels: [Int]?, givesFeatures: Bool) {
      precondition(labels.map { $0.count == rows.count } ?? true, "labels of \(rows.count) nodes")
      (self.rows, self.labels, self.givesFeatures) = (rows, labels, givesFeatures)
    }

    var count: Int { rows.count }

    func write(view: Int, image: Int, epoch: Int, worker: Int, into place: UnsafeMutablePointer<Float>) {
      rows.write(image, into: place)
    }
  }
}

extension NodeValues {
  /// Writes the values of all nodes [N, F], in parallel.
  package func write(into place: Matrix, _ workers: Workers) {
    precondition(
      place.rows == count && place.columns == width,
      "[\(count), \(width)] into [\(place.rows), \(place.columns)]")
    let part = 256
    workers.run((count + part - 1) / part) { task, _ in
      for node in task * part..<min((task + 1) * part, count) { write(node, into: place.row(node)) }
    }
  }
}
