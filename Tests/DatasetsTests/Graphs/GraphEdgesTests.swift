import Datasets
import Engine
import Testing

@Suite struct GraphEdgesTests {
  private static let seed = UInt64.random(in: 0...UInt64.max)

  /// Returns random edges, with self loops and repetitions in both directions.
  private static func edges(_ count: Int, nodes: Int, _ random: inout RandomNumbers) -> [Int32] {
    var edges: [Int32] = []
    for edge in 0..<count {
      if edge > 0, random.chance(0.3) {
        let place = 2 * random.below(edge)
        let isReversed = random.chance(0.5)
        edges += isReversed ? [edges[place + 1], edges[place]] : [edges[place], edges[place + 1]]
      } else {
        edges += [Int32(random.below(nodes)), Int32(random.below(nodes))]
      }
    }
    return edges
  }

  @Test func rowsHaveEachNeighbourOnceAscendingInBothDirections() {
    print("GraphEdgesTests: seed \(Self.seed)")
    for round in 0..<50 {
      var random = RandomNumbers(Self.seed, "edges", round)
      let nodes = 1 + random.below(30)
      let edges = Self.edges(random.below(150), nodes: nodes, &random)
      let (graph, dropped) = Graph.undirected(edges, nodes: nodes)
      var wanted = [Set<Int32>](repeating: [], count: nodes)
      for edge in stride(from: 0, to: edges.count, by: 2) where edges[edge] != edges[edge + 1] {
        wanted[Int(edges[edge])].insert(edges[edge + 1])
        wanted[Int(edges[edge + 1])].insert(edges[edge])
      }
      #expect(graph.count == nodes)
      for node in 0..<nodes {
        #expect(
          Array(graph.neighbours(of: node)) == wanted[node].sorted(), "seed \(Self.seed), round \(round)")
      }
      #expect(graph.edges + dropped.total == edges.count / 2, "seed \(Self.seed), round \(round)")
    }
  }

  @Test func everyDroppedEdgeIsCountedByItsReason() {
    // 0-1 three times one way and twice the other, 1-2 twice, 2-1 never, a loop twice, 3-2 once.
    let edges: [Int32] = [0, 1, 1, 0, 0, 1, 1, 2, 2, 2, 0, 1, 1, 0, 1, 2, 0, 0, 3, 2]
    let (graph, dropped) = Graph.undirected(edges, nodes: 5)
    #expect(graph.starts == [0, 1, 3, 5, 6, 6] && graph.columns == [1, 0, 2, 1, 3, 2])
    #expect((dropped.selfLoops, dropped.reversed, dropped.repeated) == (2, 1, 4))
    #expect(graph.edges == 3 && dropped.total == 7)
  }

  @Test func nodesWithoutEdgesAreKept() {
    let (graph, dropped) = Graph.undirected([], nodes: 3)
    #expect(graph.starts == [0, 0, 0, 0] && graph.edges == 0 && dropped.total == 0)
  }

  @Test func anInducedGraphHasTheEdgesAmongItsNodes() {
    print("GraphEdgesTests, induced: seed \(Self.seed)")
    for round in 0..<50 {
      var random = RandomNumbers(Self.seed, "induced", round)
      let nodes = 2 + random.below(30)
      let graph = Graph.undirected(Self.edges(80, nodes: nodes, &random), nodes: nodes).graph
      var parts = [[Int]](repeating: [], count: 3)
      for node in 0..<nodes { parts[random.below(3)].append(node) }
      let induced = graph.induced(by: parts)
      for (part, found) in zip(parts, induced) {
        for (place, node) in part.enumerated() {
          let kept = graph.neighbours(of: node).compactMap { part.firstIndex(of: Int($0)) }
          #expect(
            found.graph.neighbours(of: place).map { Int($0) } == kept, "seed \(Self.seed), round \(round)")
        }
        #expect(
          found.cut == part.reduce(0) { $0 + graph.degree(of: $1) } - found.graph.entries,
          "seed \(Self.seed), round \(round)")
        #expect(graph.induced(by: part) == found)
      }
      let lost = LostEdges(of: graph, among: parts)
      #expect(lost.lost == graph.edges - induced.reduce(0) { $0 + $1.graph.edges })
      #expect(2 * lost.lost == induced.reduce(0) { $0 + $1.cut } && lost.edges == graph.edges)
    }
  }

  @Test func theShareOfLostEdgesIsOfAllEdges() {
    let graph = Graph.undirected([0, 1, 1, 2, 2, 3, 3, 0], nodes: 5).graph
    #expect(LostEdges(of: graph, among: [[0, 1, 4], [2, 3]]).share == 0.5)
    #expect(LostEdges(of: graph, among: [[0, 1, 2, 3, 4]]).share == 0)
    #expect(LostEdges(of: Graph.undirected([], nodes: 2).graph, among: [[0], [1]]).share == 0)
  }
}
