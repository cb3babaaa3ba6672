import Engine
import Foundation
import Testing

@Suite struct GraphAttentionTests {
  /// A block on a graph, of whose nodes the first have outputs.
  private final class Fixture {
    let block: GraphAttention
    let graph, transposed: Graph
    let bench: Bench
    let x, dx, du: Matrix
    let trace: GraphAttention.Trace
    private let gradients: GraphAttention.Gradients
    private let team: GraphAttention.Team
    private let shards: [StorageBox]

    init(
      _ graph: Graph, inputs: Int, width: Int, heads: Int, skip: Bool = true, outputs: Int? = nil,
      workers: Int = 1, seed: UInt64
    ) {
      let (nodes, outputs) = (graph.count, outputs ?? graph.count)
      var (layout, work, scratch) = (Layout(), Layout(alignment: 16), Layout(alignment: 16))
      block = GraphAttention("", inputs: inputs, width: width, heads: heads, skip: skip, in: &layout)
      let plan = GraphAttention.TracePlan(block, nodes: nodes, outputs: outputs, in: &work)
      let gradientPlan = GraphAttention.GradientPlan(block, nodes: nodes, outputs: outputs, in: &work)
      let (x, dx) = (work.add("x", nodes, inputs), work.add("dx", nodes, inputs))
      let du = work.add("du", outputs, width)
      let scratchPlan = GraphAttention.ScratchPlan(block, chunk: 7, in: &scratch)
      bench = Bench(layout, work: work, seed: seed)
      (self.graph, transposed) = (graph, graph.transposed())
      (self.x, self.dx, self.du) = (bench[x], bench[dx], bench[du])
      trace = bench.withWork { plan.trace($0, nodes: nodes, outputs: outputs) }
      gradients = bench.withWork { gradientPlan.gradients($0, nodes: nodes, outputs: outputs) }
      team = GraphAttention.Team(
        scratchPlan, (0..<workers).map { [range = scratch.range] _ in StorageBox(range) }, Workers(workers))
      shards = (0..<4).map { [range = layout.range] _ in StorageBox(range) }
    }

    /// Returns u by the formula, in Double.
    func reference() -> [Double] {
      let (inputs, size) = (x.doubles, block.width / block.heads)
      func product(_ node: Int, _ slot: Slot) -> [Double] {
        let weight = bench.parameters[slot].doubles
        let row = inputs[node * x.columns..<(node + 1) * x.columns]
        return (0..<block.width).map { output in
          zip(row, weight[output * x.columns..<(output + 1) * x.columns]).reduce(0) { $0 + $1.0 * $1.1 }
        }
      }
      let h = (0..<x.rows).map { product($0, block.projection.weight) }
      let (source, target) = (bench.parameters[block.source].doubles, bench.parameters[block.target].doubles)
      let bias = bench.parameters[block.bias].doubles
      return (0..<trace.output.rows).flatMap { node -> [Double] in
        var output = zip(bias, block.skip.map { product(node, $0.weight) } ?? bias.map { _ in 0 }).map(+)
        let nodes = graph.neighbours(of: node).map(Int.init) + [node]
        for k in 0..<block.heads {
          let columns = k * size..<(k + 1) * size
          let scores = nodes.map { other in
            let score = columns.reduce(0) { $0 + source[$1] * h[other][$1] + target[$1] * h[node][$1] }
            return exp(score > 0 ? score : 0.2 * score)
          }
          let sum = scores.reduce(0, +)
          for (score, other) in zip(scores, nodes) {
            for column in columns { output[column] += score / sum * h[other][column] }
          }
        }
        return output.map { $0 > 0 ? $0 : exp($0) - 1 }
      }
    }

    private var inputs: GraphAttention.Inputs { GraphAttention.Inputs(StoredValues(x)) }

    func forward() {
      graph.withAdjacency {
        block.forward(inputs, $0, trace, bench.parameters, team)
      }
    }

    /// Adds the gradients of the parameters to those of the bench.
    func backward() {
      graph.withAdjacency { sources in
        transposed.withAdjacency { takers in
          block.backward(
            du, input: inputs, into: dx, Neighbourhood(whole: sources, takers: takers),
            trace,
            gradients, bench.parameters, into: shards, team)
        }
      }
      for shard in shards { Elementwise.add(shard.storage.all, to: bench.gradients.all) }
    }
  }

  @Test(arguments: shapes, [true, false]) func matchesTheFormula(
    _ shape: (width: Int, heads: Int), skip: Bool
  ) {
    let f = Fixture(
      RandomGraph.undirected(50, edges: 150, seed: 413), inputs: 6, width: shape.width, heads: shape.heads,
      skip: skip, seed: 414)
    f.forward()
    let error = zip(f.trace.output.doubles, f.reference()).map { abs($0 - $1) }.max() ?? .infinity
    #expect(error < 1e-4, "\(error), seeds 413 and 414")
  }

  /// Widths whose heads fill vectors, do not, and fill several.
  static let shapes = [(width: 8, heads: 4), (32, 4), (48, 3), (5, 1)]

  /// Node 1 has more neighbours than are computed together, the last nodes have none, and outputs are fewer than nodes.
  @Test(arguments: shapes, [true, false]) func gradients(_ shape: (width: Int, heads: Int), skip: Bool) {
    for (graph, outputs) in [
      (RandomGraph.undirected(50, edges: 150, seed: 401), 50),
      (RandomGraph.directed(40, fanout: 5, seed: 402), 20),
    ] {
      let f = Fixture(
        graph, inputs: 6, width: shape.width, heads: shape.heads, skip: skip, outputs: outputs, seed: 403)
      let weights = f.du.doubles
      f.forward()
      f.backward()
      // Short steps, because every edge has kinks; the formula has no rounding errors.
      f.bench.expectGradients([Differentiable("x", f.x, gradient: f.dx.array())], step: 2e-4) {
        zip(f.reference(), weights).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }
  }

  /// Weights of a softmax sum to 1: where all nodes have the same h, o is h, whatever the graph.
  @Test(arguments: shapes) func equalNodesAttendToTheirCommonFeatures(_ shape: (width: Int, heads: Int)) {
    let f = Fixture(
      RandomGraph.undirected(60, edges: 200, seed: 404), inputs: 6, width: shape.width, heads: shape.heads,
      skip: false, seed: 405)
    for node in 1..<f.x.rows { f.x.row(node).update(from: f.x.row(0), count: f.x.columns) }
    f.forward()
    let bias = f.bench.parameters[f.block.bias]
    for node in 0..<f.x.rows {
      for column in 0..<shape.width {
        let pre = Double(f.trace.features[0, column]) + Double(bias[0, column])
        let expected = pre > 0 ? pre : exp(pre) - 1
        #expect(abs(Double(f.trace.output[node, column]) - expected) < 1e-4, "seeds 404 and 405")
      }
    }
  }

  /// A node without neighbours attends to itself alone.
  @Test func isolatedNodes() {
    let f = Fixture(
      RandomGraph.graph([[Int32]](repeating: [], count: 3)), inputs: 4, width: 8, heads: 2, seed: 406)
    f.forward()
    let (weight, bias) = (f.bench.parameters[f.block.skip!.weight], f.bench.parameters[f.block.bias])
    for node in 0..<3 {
      for column in 0..<8 {
        let skip = zip(f.x.rows(node..<node + 1).doubles, 0...).reduce(0) {
          $0 + $1.0 * Double(weight[column, $1.1])
        }
        let pre = Double(f.trace.features[node, column] + bias[0, column]) + skip
        let expected = pre > 0 ? pre : exp(pre) - 1
        #expect(abs(Double(f.trace.output[node, column]) - expected) < 1e-4, "seed 406")
      }
    }
  }

  /// Scores far beyond the range of an exponential neither overflow nor lose the largest.
  @Test func largeScores() {
    let f = Fixture(
      RandomGraph.undirected(50, edges: 150, seed: 407), inputs: 6, width: 8, heads: 2, seed: 408)
    for slot in [f.block.source, f.block.target] {
      let values = f.bench.parameters[slot].flat
      for index in 0..<values.count { values[0, index] *= 1000 }
    }
    f.forward()
    f.backward()
    #expect(Elementwise.largestMagnitude(f.trace.output).isFinite)
    #expect(Elementwise.largestMagnitude(f.dx).isFinite)
    #expect(Elementwise.largestMagnitude(f.bench.gradients.all).isFinite)
  }

  @Test func workersChangeNotABit() {
    var results: [[UInt32]] = []
    for workers in [1, 2, 3] {
      let f = Fixture(
        RandomGraph.undirected(70, edges: 300, seed: 409), inputs: 6, width: 32, heads: 4, workers: workers,
        seed: 410)
      f.forward()
      f.backward()
      results.append(f.trace.output.bits + f.dx.bits + f.bench.gradients.all.bits)
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }

  /// Fewer outputs change none of those that are left.
  @Test func outputsDoNotDependOnOthers() {
    let graph = RandomGraph.undirected(70, edges: 300, seed: 411)
    let all = Fixture(graph, inputs: 6, width: 32, heads: 4, seed: 412)
    let some = Fixture(graph, inputs: 6, width: 32, heads: 4, outputs: 25, seed: 412)
    some.x.set(all.x.array())
    all.forward()
    some.forward()
    #expect(some.trace.output.bits == all.trace.output.rows(0..<25).bits)
  }
}
