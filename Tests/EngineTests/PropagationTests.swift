import Engine
import Testing

/// Graphs of tests, with isolated nodes and a node that most others are neighbours of.
enum RandomGraph {
  /// Returns an undirected graph without self loops.
  static func undirected(_ nodes: Int, edges: Int, seed: UInt64) -> Graph {
    var random = RandomNumbers(seed, "edges")
    var rows = [Set<Int32>](repeating: [], count: nodes)
    for _ in 0..<edges {
      // A third of the edges ends at one node. The nodes of the last tenth have none.
      let linked = max(nodes * 9 / 10, 1)
      let (one, other) = (random.below(linked), random.below(3) == 0 ? linked / 2 : random.below(linked))
      guard one != other else { continue }
      rows[one].insert(Int32(other))
      rows[other].insert(Int32(one))
    }
    return graph(rows.map { $0.sorted() })
  }

  /// Returns a graph in which each node of the first half takes from some of the others.
  static func directed(_ nodes: Int, fanout: Int, seed: UInt64) -> Graph {
    var random = RandomNumbers(seed, "edges")
    return graph(
      (0..<nodes).map { node in
        guard node < nodes / 2 else { return [] }
        return Set((0..<fanout).map { _ in Int32(random.below(nodes)) }).sorted()
      })
  }

  static func graph(_ rows: [[Int32]]) -> Graph {
    Graph(
      starts: rows.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }, columns: rows.flatMap { $0 })
  }
}

@Suite struct PropagationTests {
  /// Nodes, columns: single ones, whole tiles, tiles and a remainder, more than one task.
  private static let sizes = [(1, 1), (2, 16), (40, 5), (61, 33), (9000, 3)]

  private struct Run {
    let graph: Graph
    let bench: Bench
    let x, y, tile: Slot

    init(_ graph: Graph, columns: Int, seed: UInt64) {
      var work = Layout(alignment: 16)
      self.graph = graph
      (x, y) = (work.add("x", graph.count, columns), work.add("y", graph.count, columns))
      tile = Propagation.tile(nodes: graph.count, in: &work)
      bench = Bench(Layout(), work: work, seed: seed)
    }

    func forward(_ kind: Propagation, hops: Int = 1, workers: Int = 1, inPlace: Bool = false) {
      kind.forward(
        bench[x], on: graph, hops: hops, into: bench[inPlace ? x : y], tile: bench[tile], Workers(workers))
    }

    func backward(_ kind: Propagation, hops: Int = 1, workers: Int = 1, inPlace: Bool = false) {
      kind.backward(
        bench[x], on: graph, transposed: graph.transposed(), hops: hops, into: bench[inPlace ? x : y],
        tile: bench[tile], Workers(workers))
    }
  }

  private static func graphs(_ nodes: Int, seed: UInt64) -> [Graph] {
    [
      RandomGraph.undirected(nodes, edges: 3 * nodes, seed: seed),
      RandomGraph.directed(nodes, fanout: 4, seed: seed),
      RandomGraph.graph([[Int32]](repeating: [], count: nodes)),
    ]
  }

  /// Each row is the formula's, also of nodes without neighbours.
  @Test(arguments: sizes, Propagation.allCases) func rowsFollowTheFormula(
    _ size: (nodes: Int, columns: Int), kind: Propagation
  ) {
    for graph in Self.graphs(size.nodes, seed: 301) {
      let run = Run(graph, columns: size.columns, seed: 302)
      run.forward(kind)
      let (x, y) = (run.bench[run.x], run.bench[run.y])
      var worst = 0.0
      for node in 0..<graph.count {
        let (row, degree) = (graph.neighbours(of: node), Double(graph.degree(of: node)))
        for column in 0..<size.columns {
          let own = Double(x[node, column])
          let sum = row.reduce(0) { $0 + Double(x[Int($1), column]) }
          let expected =
            switch kind {
            case .lgcn: own + (own + sum) / (degree + 1)
            case .mean: degree == 0 ? 0 : sum / degree
            }
          worst = max(worst, abs(Double(y[node, column]) - expected))
        }
      }
      #expect(worst < 1e-4, "\(kind) of \(size), seeds 301 and 302")
    }
  }

  /// Rows of some nodes are those of all, up to rounding.
  @Test(arguments: Propagation.allCases) func rowsOfSomeNodesAreThoseOfAll(kind: Propagation) {
    for graph in Self.graphs(200, seed: 309) {
      let run = Run(graph, columns: 21, seed: 310)
      run.forward(kind)
      let nodes = [7, 199, 0, 90, 91, 7]
      let place = Storage(0..<21)
      for node in nodes {
        kind.forward(StoredValues(run.bench[run.x]), node: node, on: graph, into: place.all.start)
        for column in 0..<21 {
          #expect(abs(place.all[0, column] - run.bench[run.y][node, column]) < 1e-5, "seeds 309 and 310")
        }
      }
    }
  }

  /// ⟨P x, w⟩ = ⟨x, Pᵀ w⟩ for all x and w, which determines Pᵀ.
  @Test(arguments: sizes, Propagation.allCases) func backwardIsTheTranspose(
    _ size: (nodes: Int, columns: Int), kind: Propagation
  ) {
    for (graph, hops) in Self.graphs(size.nodes, seed: 303).flatMap({ [($0, 1), ($0, 3)] }) {
      let run = Run(graph, columns: size.columns, seed: 304)
      let other = Run(graph, columns: size.columns, seed: 305)
      run.forward(kind, hops: hops)
      other.backward(kind, hops: hops)
      let (one, two) = (
        run.bench[run.y].inner(other.bench[other.x]), run.bench[run.x].inner(other.bench[other.y])
      )
      let scale =
        run.bench[run.y].inner(run.bench[run.y]) + other.bench[other.y].inner(other.bench[other.y]) + 1
      #expect(abs(one - two) < 1e-6 * scale, "\(kind), \(hops) hops of \(size), seeds 303 to 305")
    }
  }

  @Test(arguments: Propagation.allCases, [1, 2]) func neitherWorkersNorThePlaceChangeABit(
    kind: Propagation, hops: Int
  ) {
    // A node has most of the entries, and the tasks of the rows are uneven.
    for graph in Self.graphs(9000, seed: 306) {
      var results: [(forward: [UInt32], backward: [UInt32])] = []
      for (workers, inPlace) in [(1, false), (2, false), (3, true)] {
        let runs = (Run(graph, columns: 20, seed: 307), Run(graph, columns: 20, seed: 307))
        runs.0.forward(kind, hops: hops, workers: workers, inPlace: inPlace)
        runs.1.backward(kind, hops: hops, workers: workers, inPlace: inPlace)
        results.append(
          (
            runs.0.bench[inPlace ? runs.0.x : runs.0.y].bits, runs.1.bench[inPlace ? runs.1.x : runs.1.y].bits
          ))
      }
      for result in results.dropFirst() {
        #expect(result == results[0], "\(kind), \(hops) hops, seeds 306 and 307")
      }
    }
  }

  @Test func aTransposeReversesTheEntries() {
    for graph in Self.graphs(50, seed: 308) {
      let transposed = graph.transposed()
      let pairs = Set((0..<50).flatMap { i in graph.neighbours(of: i).map { [i, Int($0)] } })
      let reversed = (0..<50).flatMap { j in transposed.neighbours(of: j).map { [Int($0), j] } }
      #expect(reversed.count == graph.entries && Set(reversed) == pairs, "seed 308")
      #expect(
        (0..<50).allSatisfy {
          transposed.neighbours(of: $0).elementsEqual(transposed.neighbours(of: $0).sorted())
        })
    }
    let directed = RandomGraph.graph([[1], [2], [0]])
    #expect(directed.transposed() == RandomGraph.graph([[2], [0], [1]]))
  }
}
