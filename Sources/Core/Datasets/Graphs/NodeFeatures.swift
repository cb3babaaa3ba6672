import Engine

/// The features of nodes [N, F], stored densely, or as sparse rows that are expanded one by one when they are needed.
///
/// Subsets share the stored features: they are lists of rows.
package struct NodeFeatures: NodeValues {
  /// Sparse rows: row i has the values of columns starts[i] ..< starts[i + 1], and zeros elsewhere.
  package struct Sparse: Sendable {
    /// The start of each row's entries [N + 1].
    let starts: [Int]
    let columns: [Int32]
    /// The value of each entry; nil if all are 1. Values of a repeated column are added.
    let values: [Float]?

    /// Creates sparse rows; traps if the lengths do not match.
    package init(starts: [Int], columns: [Int32], values: [Float]?) {
      precondition(starts.first == 0 && starts.last == columns.count, "rows of \(columns.count) entries")
      precondition(values.map { $0.count == columns.count } ?? true, "values of \(columns.count) entries")
      (self.starts, self.columns, self.values) = (starts, columns, values)
    }
  }

  private enum Stored {
    case dense([Float])
    case sparse(Sparse)
  }

  /// The number of features F.
  package let width: Int
  /// The number of nodes N.
  package let count: Int
  private let stored: Stored
  /// The stored row of each node of a subset; nil if the rows are the nodes.
  private let order: [Int32]?

  /// The largest number of features.
  package static let widest = 1 << 20

  /// Creates features from numbers in row-major order [N, F].
  package init(_ values: [Float], width: Int) {
    precondition(
      width > 0 && values.count.isMultiple(of: width), "\(values.count) numbers, \(width) features")
    (self.width, count, stored, order) = (width, values.count / width, .dense(values), nil)
  }

  /// Creates features from sparse rows; traps if a column is not in 0 ..< `width`.
  package init(_ rows: Sparse, width: Int) {
    precondition(rows.columns.allSatisfy { $0 >= 0 && $0 < width }, "columns beyond \(width) features")
    (self.width, count, stored, order) = (width, rows.starts.count - 1, .sparse(rows), nil)
  }

  private init(_ whole: NodeFeatures, _ stored: Stored, order: [Int32]?) {
    (width, self.stored, self.order) = (whole.width, stored, order)
    count = order?.count ?? whole.count
  }

  /// Whether the rows are stored as sparse ones.
  package var isSparse: Bool { if case .sparse = stored { true } else { false } }

  /// Returns the features of `nodes`, in that order.
  package func subset(_ nodes: [Int]) -> NodeFeatures {
    for node in nodes { precondition(node >= 0 && node < count, "node \(node) of \(count)") }
    return NodeFeatures(
      self, stored, order: order.map { order in nodes.map { order[$0] } } ?? nodes.map { Int32($0) })
  }

  /// Calls `body` with the columns of a node's features that are stored, and the values.
  package func forEach(of node: Int, _ body: (_ column: Int, _ value: Float) -> Void) {
    precondition(node >= 0 && node < count, "node \(node) of \(count)")
    let row = order.map { Int($0[node]) } ?? node
    switch stored {
    case .dense(let values):
      for column in 0..<width { body(column, values[row * width + column]) }
    case .sparse(let rows):
      for entry in rows.starts[row]..<rows.starts[row + 1] {
        body(Int(rows.columns[entry]), rows.values?[entry] ?? 1)
      }
    }
  }

  /// Writes the F features of a node.
  package func write(_ node: Int, into place: UnsafeMutablePointer<Float>) {
    precondition(node >= 0 && node < count, "node \(node) of \(count)")
    let row = order.map { Int($0[node]) } ?? node
    switch stored {
    case .dense(let values):
      values.withUnsafeBufferPointer { place.update(from: $0.baseAddress! + row * width, count: width) }
    case .sparse(let rows):
      place.update(repeating: 0, count: width)
      for entry in rows.starts[row]..<rows.starts[row + 1] {
        place[Int(rows.columns[entry])] += rows.values?[entry] ?? 1
      }
    }
  }

  /// Adds the F features of a node times `scale`.
  package func add(_ node: Int, scale: Float, to place: UnsafeMutablePointer<Float>) {
    precondition(node >= 0 && node < count, "node \(node) of \(count)")
    let row = order.map { Int($0[node]) } ?? node
    switch stored {
    case .dense(let values):
      values.withUnsafeBufferPointer {
        Elementwise.add($0.baseAddress! + row * width, to: place, count: width, scale: scale)
      }
    case .sparse(let rows):
      rows.columns.withUnsafeBufferPointer { columns in
        let entries = rows.starts[row]..<rows.starts[row + 1]
        guard let values = rows.values else {
          for entry in entries { place[Int(columns[entry])] += scale }
          return
        }
        for entry in entries { place[Int(columns[entry])] += scale * values[entry] }
      }
    }
  }

  /// Returns the features with each row divided by its sum; a row with the sum 0 is unchanged.
  package func normalisedByRow() -> NodeFeatures {
    switch stored {
    case .dense(var values):
      for start in stride(from: 0, to: values.count, by: width) {
        Self.normalise(&values, start..<start + width)
      }
      return NodeFeatures(self, .dense(values), order: order)
    case .sparse(let rows):
      var values = rows.values ?? [Float](repeating: 1, count: rows.columns.count)
      for (start, end) in zip(rows.starts, rows.starts.dropFirst()) { Self.normalise(&values, start..<end) }
      return NodeFeatures(
        self, .sparse(Sparse(starts: rows.starts, columns: rows.columns, values: values)), order: order)
    }
  }

  private static func normalise(_ values: inout [Float], _ row: Range<Int>) {
    let sum = row.reduce(0) { $0 + Double(values[$1]) }
    guard sum != 0 else { return }
    for index in row { values[index] = Float(Double(values[index]) / sum) }
  }
}
