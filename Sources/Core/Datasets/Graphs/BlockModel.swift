import Engine

/// The built-in graphs: a stochastic block model (Holland, Laskey, Leinhardt 1983) with a bag of words for each node.
/// They need no files and no licence.
///
/// Every node has a class at random. An edge has a random first end, and the other is a random node of the same class
/// with the probability ``homophily``, or of all nodes. Each of a node's words is one of its class with the probability
/// 1 - ``noise``, or any; a feature is the number of times that a word occurs. Class c has the words c, c + C, c + 2 C …
package struct BlockModel: Sendable, Hashable {
  package let nodes: Int
  package var classes = 7
  /// The mean number of neighbours; slightly less, because edges drawn twice and self loops are left out.
  package var degree = 10
  /// The number of words F.
  package var features = 100
  /// The number of words of a node, with repetitions.
  package var words = 10
  package var homophily: Float = 0.8
  package var noise: Float = 0.8
  package var seed: UInt64 = 0

  /// The largest number of nodes.
  package static let largest = 100_000_000

  package init(nodes: Int) { self.nodes = nodes }

  /// The number of edges drawn.
  private var draws: Int { nodes * degree / 2 }

  /// The memory that the generation needs, in bytes.
  var bytes: Int { 16 * draws + 4 * nodes * words + 64 * nodes }

  /// Generates the graph, with a random split of its nodes. It is determined by the properties. O(N + E).
  package func generate(normalisingRows: Bool = false) -> NodeSet {
    var random = RandomNumbers(seed, "block model classes", nodes)
    let labels = (0..<nodes).map { _ in random.below(classes) }
    let (graph, _) = Graph.undirected(edges(labels), nodes: nodes)
    let bags = NodeFeatures(bags(labels), width: features)
    return NodeSet(
      graph, normalisingRows ? bags.normalisedByRow() : bags, labels: labels, classes: classes,
      split: GraphTables.draw(Array(0..<nodes), seed))
  }

  private func edges(_ labels: [Int]) -> [Int32] {
    var starts = [Int](repeating: 0, count: classes + 1)
    for label in labels { starts[label + 1] += 1 }
    for label in 0..<classes { starts[label + 1] += starts[label] }
    var (members, next) = ([Int32](repeating: 0, count: nodes), starts)
    for (node, label) in labels.enumerated() {
      members[next[label]] = Int32(node)
      next[label] += 1
    }
    var random = RandomNumbers(seed, "block model edges", nodes)
    return [Int32](unsafeUninitializedCapacity: 2 * draws) { edges, count in
      for edge in 0..<draws {
        let node = random.below(nodes)
        let own = starts[labels[node]]..<starts[labels[node] + 1]
        let others = random.chance(homophily) ? own : 0..<nodes
        edges.initializeElement(at: 2 * edge, to: Int32(node))
        edges.initializeElement(at: 2 * edge + 1, to: members[others.lowerBound + random.below(others.count)])
      }
      count = 2 * draws
    }
  }

  private func bags(_ labels: [Int]) -> NodeFeatures.Sparse {
    var random = RandomNumbers(seed, "block model words", nodes)
    let own = max(features / classes, 1)
    let columns = [Int32](unsafeUninitializedCapacity: nodes * words) { columns, count in
      for (node, label) in labels.enumerated() {
        for word in 0..<words {
          let feature =
            random.chance(noise) ? random.below(features) : (label + classes * random.below(own)) % features
          columns.initializeElement(at: node * words + word, to: Int32(feature))
        }
      }
      count = nodes * words
    }
    return NodeFeatures.Sparse(starts: (0...nodes).map { $0 * words }, columns: columns, values: nil)
  }
}
