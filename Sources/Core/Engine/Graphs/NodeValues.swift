/// The values of the nodes of a graph [N, F]: their features, or the outputs of a block. Several threads read them at
/// once.
package protocol NodeValues: Sendable {
  /// The number of nodes N.
  var count: Int { get }
  /// The number of values F of a node.
  var width: Int { get }
  /// The values as a matrix [N, F], if they are stored as one.
  var matrix: Matrix? { get }
  /// Whether most values are 0, and only the others are stored.
  var isSparse: Bool { get }
  /// Calls `body` with the columns of a node's values that are stored, and the values; a column may come repeatedly, and
  /// its values are added.
  func forEach(of node: Int, _ body: (_ column: Int, _ value: Float) -> Void)
  /// Writes the values of a node.
  func write(_ node: Int, into place: UnsafeMutablePointer<Float>)
  /// Adds the values of a node times `scale`.
  func add(_ node: Int, scale: Float, to place: UnsafeMutablePointer<Float>)
}

extension NodeValues {
  package var matrix: Matrix? { nil }
  package var isSparse: Bool { false }

  package func forEach(of node: Int, _ body: (_ column: Int, _ value: Float) -> Void) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { place in
      guard let start = place.baseAddress else { return }
      write(node, into: start)
      for column in 0..<width { body(column, start[column]) }
    }
  }
}

/// Values in memory. Nothing may write them while they are read.
package struct StoredValues: NodeValues, @unchecked Sendable {
  let values: Matrix
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
