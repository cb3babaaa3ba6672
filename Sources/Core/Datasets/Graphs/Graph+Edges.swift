import Engine

/// The edges of a source that its graph does not keep, by reason.
package struct DroppedEdges: Sendable, Hashable, Codable {
  /// Edges from a node to itself.
  package var selfLoops = 0
  /// Edges listed before in the same direction.
  package var repeated = 0
  /// Edges listed in the other direction too; every pair of nodes counts once.
  package var reversed = 0

  /// Creates a record without dropped edges.
  package init() {}

  package var total: Int { selfLoops + repeated + reversed }

  /// Counts an edge that is listed so many times in each direction, and kept once.
  fileprivate mutating func count(_ one: Int, _ other: Int) {
    let directions = min(one, 1) + min(other, 1)
    reversed += directions - 1
    repeated += one + other - directions
  }
}

extension Graph {
  /// The largest number of nodes.
  package static let largest = Int(Int32.max) - 1

  /// The number of undirected edges; each is two entries.
  package var edges: Int { entries / 2 }

  /// Builds an undirected graph from edges [E, 2] in row-major order. Self loops are dropped, and an edge listed
  /// several times, in either direction, is kept once.
  ///
  /// It sorts by counting: O(N + E) memory, 4 bytes for each of 2 E entries, and no table of edges. Traps if an edge
  /// has a node beyond 0 ..< `nodes`.
  package static func undirected(_ edges: [Int32], nodes: Int) -> (graph: Graph, dropped: DroppedEdges) {
    precondition(edges.count.isMultiple(of: 2), "\(edges.count) ends of edges")
    precondition(nodes <= largest, "\(nodes) nodes")
    var dropped = DroppedEdges()
    var starts = [Int](repeating: 0, count: nodes + 1)
    for edge in stride(from: 0, to: edges.count, by: 2) {
      let (one, other) = (Int(edges[edge]), Int(edges[edge + 1]))
      precondition(one >= 0 && other >= 0 && one < nodes && other < nodes, "an edge beyond \(nodes) nodes")
      if one == other {
        dropped.selfLoops += 1
      } else {
        starts[one + 1] += 1
        starts[other + 1] += 1
      }
    }
    for node in 0..<nodes { starts[node + 1] += starts[node] }
    let entries = starts[nodes]
    var columns = [Int32](unsafeUninitializedCapacity: entries) { buffer, count in
      buffer.initialize(repeating: 0)
      buffer.withMemoryRebound(to: UInt32.self) { entries in
        Self.fill(entries, edges, starts)
        count = Self.compact(entries, &starts, &dropped)
      }
    }
    // A source that lists both directions needs half of the entries.
    if columns.count < entries / 4 * 3 { columns = Array(columns[...]) }
    return (Graph(starts: starts, columns: columns), dropped)
  }

  /// Writes, for both ends of each edge, the other end times two, plus 1 at the end that was listed second.
  private static func fill(_ entries: UnsafeMutableBufferPointer<UInt32>, _ edges: [Int32], _ starts: [Int]) {
    var next = starts
    for edge in stride(from: 0, to: edges.count, by: 2) where edges[edge] != edges[edge + 1] {
      let (one, other) = (edges[edge], edges[edge + 1])
      entries[next[Int(one)]] = UInt32(other) << 1
      entries[next[Int(other)]] = UInt32(one) << 1 | 1
      next[Int(one)] += 1
      next[Int(other)] += 1
    }
  }

  /// Sorts each row, removes what occurs again, and moves the rows together. Returns the number of entries left, which
  /// are neighbours.
  private static func compact(
    _ entries: UnsafeMutableBufferPointer<UInt32>, _ starts: inout [Int], _ dropped: inout DroppedEdges
  ) -> Int {
    var (kept, start) = (0, 0)
    for node in 0..<starts.count - 1 {
      let end = starts[node + 1]
      var row = UnsafeMutableBufferPointer(rebasing: entries[start..<end])
      row.sort()
      var place = start
      while place < end {
        let neighbour = entries[place] >> 1
        var (listed, reversed) = (0, 0)
        while place < end, entries[place] >> 1 == neighbour {
          if entries[place] & 1 == 0 { listed += 1 } else { reversed += 1 }
          place += 1
        }
        // Each edge is counted at its smaller end.
        if neighbour > node { dropped.count(listed, reversed) }
        entries[kept] = neighbour
        kept += 1
      }
      starts[node + 1] = kept
      start = end
    }
    return kept
  }
}

/// The subgraph of some nodes of a graph.
package struct InducedGraph: Sendable, Hashable {
  /// The nodes renumbered in ascending order, and the edges among them.
  package let graph: Graph
  /// The number of edges of the whole graph with one end in the subgraph.
  package let cut: Int
}

extension Graph {
  /// Returns the subgraph that `nodes` induce, which are ascending. O(N) memory, O(N + entries of the nodes) time.
  package func induced(by nodes: [Int]) -> InducedGraph { induced(by: [nodes])[0] }

  /// Returns the subgraph of each part, a list of ascending nodes. O(N + E) for parts without a common node.
  package func induced(by parts: [[Int]]) -> [InducedGraph] {
    var places = [Int32](repeating: -1, count: count)
    return parts.map { part in
      precondition(zip(part, part.dropFirst()).allSatisfy { $0 < $1 }, "nodes that are not ascending")
      for (place, node) in part.enumerated() { places[node] = Int32(place) }
      defer { for node in part { places[node] = -1 } }
      return induced(by: part, places)
    }
  }

  /// `places` has the new number of each node, or -1.
  private func induced(by nodes: [Int], _ places: [Int32]) -> InducedGraph {
    var (starts, columns): ([Int], [Int32]) = ([0], [])
    starts.reserveCapacity(nodes.count + 1)
    columns.reserveCapacity(
      nodes.reduce(0) { sum, node in sum + neighbours(of: node).count { places[Int($0)] >= 0 } })
    var cut = 0
    for node in nodes {
      for neighbour in neighbours(of: node) {
        let place = places[Int(neighbour)]
        if place >= 0 { columns.append(place) } else { cut += 1 }
      }
      starts.append(columns.count)
    }
    return InducedGraph(graph: Graph(starts: starts, columns: columns), cut: cut)
  }
}

/// The edges of a graph between the parts of a partition, which no client has.
package struct LostEdges: Sendable, Hashable, Codable {
  /// The number of edges between parts.
  package let lost: Int
  /// The number of edges of the whole graph.
  package let edges: Int

  /// Counts the edges of a graph between `parts`, which contain every node once.
  package init(of graph: Graph, among parts: [[Int]]) {
    var owners = [Int32](repeating: -1, count: graph.count)
    for (part, nodes) in parts.enumerated() { for node in nodes { owners[node] = Int32(part) } }
    var entries = 0
    for node in 0..<graph.count {
      for neighbour in graph.neighbours(of: node) where owners[Int(neighbour)] != owners[node] {
        entries += 1
      }
    }
    (lost, edges) = (entries / 2, graph.edges)
  }

  /// The share of the edges that are lost, 0 … 1; 0 without edges.
  package var share: Double { edges == 0 ? 0 : Double(lost) / Double(edges) }
}
