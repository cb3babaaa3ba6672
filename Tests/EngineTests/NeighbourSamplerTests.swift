import Engine
import Testing

@Suite struct NeighbourSamplerTests {
  /// A sample with the graph's numbers of all nodes.
  private struct Sample {
    /// The nodes up to each distance from the targets.
    let nodes: [[Int]]
    /// The nodes from which each takes.
    let sources: [Int: [Int]]
    /// The entries of the transpose, as pairs of a row and the node that it lists.
    let takers: [[Int]]
    let rows: [[Int]]
  }

  private static func sample(
    _ targets: [Int], of graph: Graph, fanouts: [Int], seed: UInt64, epoch: Int = 0, step: Int = 0
  ) -> Sample {
    var layout = Layout(alignment: 16)
    let sampler = NeighbourSampler(fanouts, nodes: graph.count, batch: targets.count, in: &layout)
    let memory = Storage(layout)
    var random = RandomNumbers(seed, "neighbours", epoch, step)
    return graph.withAdjacency { rows in
      let found = sampler.sample(targets, from: rows, &random, memory)
      func node(_ number: Int) -> Int { Int(found.nodes![number]) }
      let counts = (0...fanouts.count).map { found.count(within: $0) }
      var sources: [Int: [Int]] = [:]
      for number in 0..<counts[fanouts.count] {
        sources[node(number)] = found.sources[number].map { node(Int($0)) }
      }
      return Sample(
        nodes: counts.map { (0..<$0).map(node) }, sources: sources,
        takers: (0..<found.takers.count).map { found.takers[$0].map(Int.init) },
        rows: (0..<found.sources.count).map { found.sources[$0].map(Int.init) })
    }
  }

  private static let graph = RandomGraph.undirected(300, edges: 1500, seed: 421)

  /// Targets take from the first fanout, nodes first reached by them from the second, and the last from none.
  @Test func fanoutsBelongToTheDistanceAtWhichANodeIsReached() {
    // Node 1 is a target and a neighbour of many others.
    let targets = [1, 40, 7, 200, 123, 299]
    let sample = Self.sample(targets, of: Self.graph, fanouts: [10, 5], seed: 422)
    #expect(sample.nodes[0] == targets)
    for (node, sources) in sample.sources {
      let neighbours = Self.graph.neighbours(of: node).map(Int.init)
      let fanout =
        targets.contains(node) ? 10 : sample.nodes[1].contains(node) ? 5 : 0
      #expect(sources.count == min(fanout, neighbours.count), "node \(node), seeds 421 and 422")
      #expect(Set(sources).count == sources.count && Set(sources).isSubset(of: neighbours))
    }
    let first = Set(targets + targets.flatMap { sample.sources[$0]! })
    #expect(Set(sample.nodes[1]) == first && sample.nodes[1].count == first.count)
    let second = first.union(sample.nodes[1].flatMap { sample.sources[$0]! })
    #expect(Set(sample.nodes[2]) == second && sample.nodes[2].count == second.count)
  }

  @Test func takersAreTheTranspose() {
    let sample = Self.sample([1, 40, 7, 200], of: Self.graph, fanouts: [10, 5, 3], seed: 423)
    var expected = [[Int]](repeating: [], count: sample.rows.count)
    for (row, nodes) in sample.rows.enumerated() { for node in nodes { expected[node].append(row) } }
    #expect(sample.takers == expected, "seeds 421 and 423")
  }

  @Test func isTheSameForASeedAnEpochAndAStep() {
    func sources(_ seed: UInt64, _ epoch: Int, _ step: Int) -> [Int: [Int]] {
      Self.sample([1, 2, 3], of: Self.graph, fanouts: [10, 5], seed: seed, epoch: epoch, step: step).sources
    }
    let first = sources(1, 0, 0)
    #expect(sources(1, 0, 0) == first)
    for other in [sources(2, 0, 0), sources(1, 1, 0), sources(1, 0, 1)] { #expect(other != first) }
  }

  /// Every neighbour is drawn with the same probability.
  @Test func drawsAreUniform() {
    let star = RandomGraph.graph([(1...20).map { Int32($0) }] + (1...20).map { _ in [0] })
    var counts = [Int](repeating: 0, count: 21)
    let draws = 4000
    for seed in 0..<draws {
      for node in Self.sample([0], of: star, fanouts: [5], seed: UInt64(seed)).sources[0]! {
        counts[node] += 1
      }
    }
    // 1000 of 4000 on average, with a standard deviation of 27.
    for node in 1...20 { #expect(abs(counts[node] - draws / 4) < 140, "node \(node): \(counts[node])") }
  }

  @Test func graphsWithoutEdgesAndOfOneNode() {
    let empty = RandomGraph.graph([[Int32]](repeating: [], count: 4))
    let sample = Self.sample([2, 0], of: empty, fanouts: [10, 5], seed: 424)
    #expect(sample.nodes == [[2, 0], [2, 0], [2, 0]] && sample.rows == [[], []])
    #expect(Self.sample([0], of: RandomGraph.graph([[]]), fanouts: [3], seed: 424).nodes == [[0], [0]])
  }

  /// The memory has a bound that batch and fanouts give.
  @Test func memoryDoesNotGrowWithTheGraph() {
    func bytes(nodes: Int) -> Int {
      var layout = Layout(alignment: 16)
      _ = NeighbourSampler([10, 5], nodes: nodes, batch: 64, in: &layout)
      return layout.bytes
    }
    let most = 64 + 640 + 3200
    #expect(Neighbourhood.mostNodes(of: 10_000_000, batch: 64, fanouts: [10, 5]) == [64, 704, most])
    #expect(bytes(nodes: most) == bytes(nodes: 100 * most))
    #expect(bytes(nodes: 200) < bytes(nodes: most))
    #expect(Neighbourhood.mostNodes(of: 200, batch: 64, fanouts: [10, 5]) == [64, 200, 200])
    #expect(Neighbourhood.mostNodes(of: 200, batch: 64, fanouts: nil) == [200])
    // Nothing overflows, however large the fanouts.
    #expect(Neighbourhood.mostNodes(of: 500, batch: 64, fanouts: [Int.max, Int.max]) == [64, 500, 500])
  }
}
