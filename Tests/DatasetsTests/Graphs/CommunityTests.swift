import Datasets
import Engine
import Testing

@Suite struct CommunityTests {
  @Test func separateGroupsAreFound() {
    // Three triangles, joined by one edge each.
    let edges: [Int32] = [0, 3, 3, 6, 6, 0, 1, 4, 4, 7, 7, 1, 2, 5, 5, 8, 8, 2, 6, 7, 7, 8]
    let graph = Graph.undirected(edges, nodes: 9).graph
    // Node 7 has the most neighbours.
    #expect(graph.communities(3) == [[1, 4, 7], [0, 3, 6], [2, 5, 8]])
  }

  @Test func amongEqualsTheSmallerDegreeAndThenTheSmallerIndexComesFirst() {
    // Node 0 has the neighbours 1, 2, 3 and 4; 1 and 2 have another neighbour each, so 3 is next.
    let graph = Graph.undirected([0, 1, 0, 2, 0, 3, 0, 4, 1, 5, 2, 6], nodes: 7).graph
    #expect(graph.communities(4) == [[0, 3], [1, 5], [2, 6], [4]])
  }

  @Test func aPartThatHasNoNeighboursGoesOnWithTheLargestDegree() {
    // An edge, a path of three nodes, and two nodes without neighbours.
    let graph = Graph.undirected([4, 5, 1, 2, 2, 3], nodes: 7).graph
    #expect(graph.communities(1) == [[0, 1, 2, 3, 4, 5, 6]])
    #expect(graph.communities(2) == [[1, 2, 3, 4], [0, 5, 6]])
    #expect(graph.communities(7) == [[2], [1], [3], [4], [5], [0], [6]])
  }

  @Test func theMoreEdgesIntoThePartTheSooner() {
    // From node 0: 1, then 2 with two edges, although 5 has the smaller degree.
    let graph = Graph.undirected([0, 1, 0, 2, 0, 3, 0, 5, 1, 2, 1, 4, 2, 3, 2, 4, 3, 4], nodes: 6).graph
    // Degrees: 4, 3, 4, 3, 3, 1. After 0 the smallest degree is 5's, then 1's, then 2 has two edges into the part.
    #expect(graph.communities(1) == [[0, 1, 2, 3, 4, 5]])
    #expect(graph.communities(2) == [[0, 1, 5], [2, 3, 4]])
    let four = Graph.undirected([0, 1, 0, 2, 0, 3, 1, 2, 2, 4, 4, 5, 4, 6, 5, 6, 3, 5], nodes: 7).graph
    // 0 has three neighbours of the degrees 2, 3 and 2: 1 comes first, and then 2 for its two edges, before 3.
    #expect(four.communities(2)[0] == [0, 1, 2, 3])
    #expect(four.communities(3)[0] == [0, 1, 2])
  }

  @Test func communitiesKeepMoreEdgesThanChance() throws {
    var model = BlockModel(nodes: 2000)
    model.homophily = 0.95
    let set = model.generate()
    let parts = try Partition.community.split(.nodes(set), clients: 7, seed: 1)
    let even = try Partition.even.split(.nodes(set), clients: 7, seed: 1)
    #expect(parts.flatMap { $0 }.sorted() == Array(0..<2000))
    #expect(parts.map(\.count) == [286, 286, 286, 286, 286, 285, 285])
    #expect(LostEdges(of: set.graph, among: parts).share < 0.7 * LostEdges(of: set.graph, among: even).share)
  }
}
