/// A graph in compressed rows: row i lists, in ascending order, the nodes from which node i takes.
///
/// A stored graph is undirected, so both (i, j) and (j, i) are entries; the graph of a sampled neighbourhood is directed.
/// Every edge has the weight 1. N nodes.
package struct Graph: Sendable, Hashable {
  /// The start of each node's entries in ``columns`` [N + 1].
  package let starts: [Int]
  /// The neighbours of all nodes, row by row.
  package let columns: [Int32]

  /// Creates a graph from its compressed rows; traps if they are not such rows.
  package init(starts: [Int], columns: [Int32]) {
    precondition(starts.first == 0 && starts.last == columns.count, "rows of \(columns.count) entries")
    precondition(zip(starts, starts.dropFirst()).allSatisfy { $0 <= $1 }, "rows that are not ascending")
    precondition(
      columns.allSatisfy { $0 >= 0 && $0 < starts.count - 1 }, "neighbours beyond \(starts.count - 1) nodes")
    (self.starts, self.columns) = (starts, columns)
  }

  /// The number of nodes N.
  package var count: Int { starts.count - 1 }
  /// The number of entries: twice the number of edges of an undirected graph.
  package var entries: Int { columns.count }

  /// Returns the neighbours of a node, ascending.
  package func neighbours(of node: Int) -> ArraySlice<Int32> { columns[starts[node]..<starts[node + 1]] }
  /// Returns the number of a node's neighbours.
  package func degree(of node: Int) -> Int { starts[node + 1] - starts[node] }
}
