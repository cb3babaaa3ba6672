/// The nodes that a step uses, and from which of them each takes.
///
/// Nodes have numbers in the order in which they are reached from the targets, so that the nodes up to a distance come
/// first; in the whole graph they keep their own numbers.
package struct Neighbourhood {
  /// Row i lists the nodes from which node i takes.
  package let sources: Adjacency
  /// The transpose: row j lists the nodes that take from node j, ascending.
  package let takers: Adjacency
  /// The graph's number of each node; nil if nodes keep their own numbers.
  package let nodes: UnsafePointer<Int32>?
  /// The number of nodes up to each distance from the targets; nil for the whole graph.
  private let ends: UnsafePointer<Int>?
  private let distances: Int

  fileprivate init(
    sources: Adjacency, takers: Adjacency, nodes: UnsafePointer<Int32>, ends: UnsafePointer<Int>,
    distances: Int
  ) {
    (self.sources, self.takers, self.nodes) = (sources, takers, nodes)
    (self.ends, self.distances) = (ends, distances)
  }

  /// Creates the neighbourhood of all nodes of a graph; `takers` is its transpose, which is the same rows if the graph
  /// is undirected.
  package init(whole sources: Adjacency, takers: Adjacency) {
    (self.sources, self.takers, nodes) = (sources, takers, nil)
    (ends, distances) = (nil, 0)
  }

  /// Returns the most nodes at each distance from a batch of B targets: B, B f1, B f1 f2, …, and never more than the graph
  /// has. `nodes` of 0 is a graph of unknown size.
  fileprivate static func mostNodes(of nodes: Int, batch: Int, at fanouts: [Int]) -> [Int] {
    let limit = nodes > 0 ? nodes : Int(Int32.max)
    var last = min(batch, limit)
    return [last]
      + fanouts.map { fanout in
        let (product, isTooLarge) = last.multipliedReportingOverflow(by: fanout)
        last = isTooLarge ? limit : min(product, limit)
        return last
      }
  }

  /// Returns the most nodes up to each distance from a batch of B targets: B, B + B f1, B + B f1 + B f1 f2, …, and never
  /// more than the graph has; without fanouts, all nodes of the graph.
  package static func mostNodes(of nodes: Int, batch: Int, fanouts: [Int]?) -> [Int] {
    guard let fanouts else { return [nodes > 0 ? nodes : batch] }
    var total = 0
    return mostNodes(of: nodes, batch: batch, at: fanouts).map {
      total = min(total + $0, nodes > 0 ? nodes : Int(Int32.max))
      return total
    }
  }

  /// Returns the number of nodes up to a distance from the targets.
  package func count(within distance: Int) -> Int {
    ends.map { $0[min(distance, distances)] } ?? sources.count
  }
}

/// Samples neighbourhoods of batches, as for GraphSAGE (arXiv 1706.02216, algorithm 2) but with each node's neighbours
/// drawn once for a batch: f1 neighbours of each target, f2 of each node first reached by that, and so on; a node that
/// has fewer gives all. A node that several others reach counts where it was reached first, and targets count as
/// targets. Nodes reached last take from none.
///
/// Its memory depends on the batch and the fanouts, and not on the graph. B targets.
package struct NeighbourSampler: Sendable {
  private let fanouts: [Int]
  private let batch: Int
  /// The graph's number of each node, and the number of nodes up to each distance.
  private let nodes: NumberSlot<Int32>
  private let ends: NumberSlot<Int>
  private let sourceStarts, takerStarts: NumberSlot<Int>
  private let sources, takers: NumberSlot<Int32>
  /// A hash table with open addressing, from the graph's number of a node, or -1, to its number here.
  private let (keys, values): (NumberSlot<Int32>, NumberSlot<Int32>)
  /// The positions of the neighbours drawn for a node, ascending.
  private let drawn: NumberSlot<Int32>

  /// Adds the memory for batches of `batch` targets in a graph of `size` nodes to a layout; of 0 for any size.
  package init(_ fanouts: [Int], nodes size: Int, batch: Int, in layout: inout Layout) {
    precondition(!fanouts.isEmpty && fanouts.allSatisfy { $0 > 0 }, "fanouts of \(fanouts)")
    (self.fanouts, self.batch) = (fanouts, batch)
    let count = Neighbourhood.mostNodes(of: size, batch: batch, fanouts: fanouts).last ?? 0
    let rows = Neighbourhood.mostNodes(of: size, batch: batch, at: fanouts)
    let entries = zip(rows, fanouts).reduce(0) { $0 + $1.0 * (size > 0 ? min($1.1, size) : $1.1) }
    nodes = layout.addNumbers("nodes", count)
    ends = layout.addNumbers("ends", fanouts.count + 1)
    sourceStarts = layout.addNumbers("starts", count + 1)
    takerStarts = layout.addNumbers("starts of takers", count + 2)
    sources = layout.addNumbers("sources", entries)
    takers = layout.addNumbers("takers", entries)
    var capacity = 16
    while capacity < 2 * count { capacity *= 2 }
    keys = layout.addNumbers("keys", capacity)
    values = layout.addNumbers("values", capacity)
    drawn = layout.addNumbers("drawn", fanouts.max() ?? 0)
  }

  /// Samples the neighbourhood of B different targets, which get the numbers 0 ..< B in order.
  package func sample(
    _ targets: some Collection<Int>, from graph: Adjacency, _ random: inout RandomNumbers,
    _ memory: borrowing Storage
  ) -> Neighbourhood {
    precondition(targets.count == batch, "\(targets.count) targets for a batch of \(batch)")
    let (nodes, ends, starts) = (memory[nodes], memory[ends], memory[sourceStarts])
    let (columns, drawn) = (memory[sources], memory[drawn])
    var numbers = Numbers(
      keys: memory[keys], values: memory[values], capacity: keys.count, nodes: nodes)
    for (index, target) in targets.enumerated() {
      let number = numbers.number(of: Int32(target))
      precondition(Int(number) == index, "node \(target) is a target twice")
    }
    var (first, entries) = (0, 0)
    starts[0] = 0
    for (distance, fanout) in fanouts.enumerated() {
      ends[distance] = numbers.count
      for node in first..<ends[distance] {
        let neighbours = graph[Int(nodes[node])]
        Self.draw(fanout, of: neighbours.count, into: drawn, &random) { position in
          columns[entries] = numbers.number(of: neighbours[position])
          entries += 1
        }
        starts[node + 1] = entries
      }
      first = ends[distance]
    }
    ends[fanouts.count] = numbers.count
    for node in first..<numbers.count { starts[node + 1] = entries }
    let rows = Adjacency(starts: starts, columns: columns, count: numbers.count)
    return Neighbourhood(
      sources: rows,
      takers: rows.transpose(nodes: numbers.count, starts: memory[takerStarts], columns: memory[takers]),
      nodes: nodes, ends: ends, distances: fanouts.count)
  }

  /// Calls `body` with `count` different positions below `total`, ascending, each set of them with the same probability
  /// (Floyd's algorithm, Bentley and Floyd 1987); with all of them if there are not more.
  private static func draw(
    _ count: Int, of total: Int, into drawn: UnsafeMutablePointer<Int32>, _ random: inout RandomNumbers,
    _ body: (Int) -> Void
  ) {
    guard total > count else {
      for position in 0..<total { body(position) }
      return
    }
    for (size, last) in (total - count..<total).enumerated() {
      let candidate = Int32(random.below(last + 1))
      var (low, high) = (0, size)
      while low < high {
        let middle = (low + high) / 2
        if drawn[middle] < candidate { low = middle + 1 } else { high = middle }
      }
      if low < size && drawn[low] == candidate {
        drawn[size] = Int32(last)
      } else {
        (drawn + low + 1).update(from: drawn + low, count: size - low)
        drawn[low] = candidate
      }
    }
    for index in 0..<count { body(Int(drawn[index])) }
  }

  /// The numbers of the nodes that were reached.
  private struct Numbers {
    let keys, values: UnsafeMutablePointer<Int32>
    let mask: Int
    let nodes: UnsafeMutablePointer<Int32>
    private(set) var count = 0

    /// - Parameter capacity: a power of two.
    init(
      keys: UnsafeMutablePointer<Int32>, values: UnsafeMutablePointer<Int32>, capacity: Int,
      nodes: UnsafeMutablePointer<Int32>
    ) {
      (self.keys, self.values, self.nodes) = (keys, values, nodes)
      mask = capacity - 1
      keys.update(repeating: -1, count: capacity)
    }

    /// Returns the number of a node of the graph, which is the next one if it has none.
    mutating func number(of node: Int32) -> Int32 {
      // Fibonacci hashing spreads consecutive numbers.
      var place =
        Int(truncatingIfNeeded: (UInt64(UInt32(bitPattern: node)) &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
      while keys[place] != node {
        if keys[place] < 0 {
          keys[place] = node
          values[place] = Int32(count)
          nodes[count] = node
          count += 1
          break
        }
        place = (place + 1) & mask
      }
      return values[place]
    }
  }
}
