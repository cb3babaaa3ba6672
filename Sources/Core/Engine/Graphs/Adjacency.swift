/// Compressed rows of a graph in memory that another value owns: row i lists the nodes from which node i takes.
///
/// It has the lifetime of that memory, as a ``Matrix`` has. Every entry has the weight 1, and no row lists its own node.
package struct Adjacency {
  /// The start of each row in ``columns`` [rows + 1].
  package let starts: UnsafePointer<Int>
  package let columns: UnsafePointer<Int32>
  /// The number of rows.
  package let count: Int

  @inline(__always)
  package init(starts: UnsafePointer<Int>, columns: UnsafePointer<Int32>, count: Int) {
    (self.starts, self.columns, self.count) = (starts, columns, count)
  }

  /// Returns the nodes from which a node takes.
  @inline(__always)
  package subscript(row: Int) -> UnsafeBufferPointer<Int32> {
    assert(row >= 0 && row < count)
    return UnsafeBufferPointer(start: columns + starts[row], count: starts[row + 1] - starts[row])
  }

  /// Returns the number of entries of a row.
  @inline(__always)
  package func degree(of row: Int) -> Int { starts[row + 1] - starts[row] }

  /// Returns the first rows.
  @inline(__always)
  package func prefix(_ rows: Int) -> Adjacency {
    precondition(rows <= count, "\(rows) of \(count) rows")
    return Adjacency(starts: starts, columns: columns, count: rows)
  }

  /// Writes the transpose for `nodes` nodes: row j lists the rows that list j, ascending.
  ///
  /// `starts` has room for nodes + 2 numbers, `columns` for all entries.
  package func transpose(
    nodes: Int, starts to: UnsafeMutablePointer<Int>, columns entries: UnsafeMutablePointer<Int32>
  ) -> Adjacency {
    to.update(repeating: 0, count: nodes + 2)
    for entry in starts[0]..<starts[count] { to[Int(columns[entry]) + 2] += 1 }
    for node in 0..<nodes { to[node + 2] += to[node + 1] }
    // The start of row j is at j + 1 until its entries are written; then it is their end, the start of the next row.
    for row in 0..<count {
      for column in self[row] {
        entries[to[Int(column) + 1]] = Int32(row)
        to[Int(column) + 1] += 1
      }
    }
    return Adjacency(starts: to, columns: entries, count: nodes)
  }
}

extension Graph {
  /// Calls `body` with the graph's rows.
  package func withAdjacency<Result>(_ body: (Adjacency) throws -> Result) rethrows -> Result {
    try starts.withUnsafeBufferPointer { starts in
      try columns.withUnsafeBufferPointer { columns in
        let first = starts.baseAddress!
        // A graph without edges has no columns; no row then reads them.
        let entries =
          columns.baseAddress ?? UnsafeRawPointer(first).assumingMemoryBound(to: Int32.self)
        return try body(Adjacency(starts: first, columns: entries, count: count))
      }
    }
  }
}
