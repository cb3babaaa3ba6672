import Foundation

/// A block of graph attention with a residual connection (arXiv 1710.10903, equations 1 to 5; arXiv 2309.01503):
/// u = ELU(o + x·W_skipᵀ).
///
/// With h = x·Wᵀ, each of K heads has a slice h^k of D / K values, and for every j among the nodes from which i takes,
/// and i itself,
///
///     e_ij = LeakyReLU(att_src^k · h_j^k + att_dst^k · h_i^k),  alpha_i· = softmax over j of e_i·,
///     o_i^k = Σ_j alpha_ij h_j^k + bias^k.
///
/// n nodes, of which the first m have outputs; F inputs, D = width. Nothing is kept for an edge: its weights are computed
/// again from the scores of its nodes, which are few numbers against the h that the edge reads.
package struct GraphAttention: Sendable {
  /// `conv.lin`, W [D, F].
  package let projection: Linear
  /// `conv.att_src` and `conv.att_dst` [1, K, D / K], and `conv.bias` [D].
  package let source, target, bias: Slot
  /// `skip`, W_skip [D, F].
  package let skip: Linear?
  package let heads: Int
  /// The slope of LeakyReLU below 0.
  package let slope: Float

  /// Adds `conv.lin.weight`, `conv.att_src`, `conv.att_dst`, `conv.bias` and, with a residual connection, `skip.weight`,
  /// as named in PyTorch Geometric, each behind `prefix`.
  package init(
    _ prefix: String, inputs: Int, width: Int, heads: Int, skip hasSkip: Bool, slope: Float = 0.2,
    in layout: inout Layout
  ) {
    precondition(width % heads == 0, "a width of \(width) for \(heads) heads")
    projection = Linear("\(prefix)conv.lin", inputs: inputs, outputs: width, bias: false, in: &layout)
    let shape = [1, heads, width / heads]
    source = layout.add("\(prefix)conv.att_src", heads, width / heads, shape: shape)
    target = layout.add("\(prefix)conv.att_dst", heads, width / heads, shape: shape)
    bias = layout.add("\(prefix)conv.bias", width)
    skip =
      hasSkip ? Linear("\(prefix)skip", inputs: inputs, outputs: width, bias: false, in: &layout) : nil
    (self.heads, self.slope) = (heads, slope)
  }

  package var inputs: Int { projection.weight.columns }
  package var width: Int { projection.weight.rows }
  /// The floating-point operations for a node; only matrix products count.
  package var operations: Int { 2 * (projection.weight.count + (skip?.weight.count ?? 0)) }

  /// Returns the distribution of a parameter: Glorot's uniform distribution over the last two dimensions for W, att_src
  /// and att_dst, 0 for the bias, and that of nn.Linear for W_skip.
  package static func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    if entry.shape.count == 1 { return .constant(0) }
    let (rows, columns) = (entry.shape[entry.shape.count - 2], entry.shape[entry.shape.count - 1])
    return entry.name.hasSuffix("skip.weight")
      ? .uniform(bound: 1 / Float(columns).squareRoot())
      : .uniform(bound: (6 / Float(rows + columns)).squareRoot())
  }

  // MARK: - Memory

  /// The values kept for the backward pass: h [n, D], att_src · h [n, K], att_dst · h and the logarithms of the sums of
  /// e^e_ij over j [m, K], and u [m, D].
  package struct Trace {
    package let features, sourceScores, targetScores, logSums, output: Matrix

    var nodes: Int { features.rows }
    var outputs: Int { output.rows }
  }

  /// The slots of a trace of up to `nodes` nodes, of which `outputs` have outputs.
  package struct TracePlan: Sendable {
    private let features, sourceScores, targetScores, logSums, output: Slot

    package init(_ block: GraphAttention, nodes: Int, outputs: Int, in layout: inout Layout) {
      features = layout.add("attention features", nodes, block.width)
      sourceScores = layout.add("source scores", nodes, block.heads)
      targetScores = layout.add("target scores", outputs, block.heads)
      logSums = layout.add("attention sums", outputs, block.heads)
      output = layout.add("attention output", outputs, block.width)
    }

    package func trace(_ storage: borrowing Storage, nodes: Int, outputs: Int) -> Trace {
      Trace(
        features: storage[features].rows(0..<nodes), sourceScores: storage[sourceScores].rows(0..<nodes),
        targetScores: storage[targetScores].rows(0..<outputs), logSums: storage[logSums].rows(0..<outputs),
        output: storage[output].rows(0..<outputs))
    }
  }

  /// The gradients of h [n, D], of att_src · h [n, K] and of att_dst · h [m, K], and Σ_j alpha_ij dalpha_ij [m, K].
  package struct Gradients {
    let features, sourceScores, targetScores, means: Matrix
  }

  /// The slots of gradients, which blocks of the same width and number of heads share.
  package struct GradientPlan: Sendable {
    private let features, sourceScores, targetScores, means: Slot

    package init(_ block: GraphAttention, nodes: Int, outputs: Int, in layout: inout Layout) {
      features = layout.add("gradients of attention features", nodes, block.width)
      sourceScores = layout.add("gradients of source scores", nodes, block.heads)
      targetScores = layout.add("gradients of target scores", outputs, block.heads)
      means = layout.add("attention means", outputs, block.heads)
    }

    package func gradients(_ storage: borrowing Storage, nodes: Int, outputs: Int) -> Gradients {
      Gradients(
        features: storage[features].rows(0..<nodes), sourceScores: storage[sourceScores].rows(0..<nodes),
        targetScores: storage[targetScores].rows(0..<outputs), means: storage[means].rows(0..<outputs))
    }
  }

  /// The number of edges whose weights are computed together.
  static let edges = 32

  /// The work space of a worker: a chunk of inputs, a row of sums, the nodes of some edges, and for each of these and
  /// each head a weight and the slope of LeakyReLU.
  package struct Scratch {
    let inputs, sums, weights, slopes: Matrix
    let nodes: UnsafeMutablePointer<Int32>
  }

  package struct ScratchPlan: Sendable {
    private let inputs, sums, weights, slopes: Slot
    private let nodes: NumberSlot<Int32>
    /// The number of rows that a task computes.
    package let chunk: Int

    package init(_ block: GraphAttention, chunk: Int, in layout: inout Layout) {
      self.chunk = chunk
      inputs = layout.add("gathered inputs", chunk, block.inputs)
      sums = layout.add("sums", 4, block.width)
      weights = layout.add("edge weights", GraphAttention.edges, block.heads)
      slopes = layout.add("edge slopes", GraphAttention.edges, block.heads)
      nodes = layout.addNumbers("edge nodes", GraphAttention.edges)
    }

    package func scratch(_ storage: borrowing Storage) -> Scratch {
      Scratch(
        inputs: storage[inputs], sums: storage[sums], weights: storage[weights], slopes: storage[slopes],
        nodes: storage[nodes])
    }
  }

  /// The inputs of a block: row i has the values of node `nodes[i]`, or of node i without numbers.
  package struct Inputs {
    private let values: any NodeValues
    private let nodes: UnsafePointer<Int32>?

    package init(_ values: any NodeValues, nodes: UnsafePointer<Int32>? = nil) {
      (self.values, self.nodes) = (values, nodes)
    }

    var isSparse: Bool { values.isSparse }

    private func node(_ row: Int) -> Int { nodes.map { Int($0[row]) } ?? row }

    /// Returns a range of rows, which are copied to `place` if they are elsewhere.
    func rows(_ range: Range<Int>, gatheredIn place: Matrix) -> Matrix {
      if nodes == nil, let matrix = values.matrix { return matrix.rows(range) }
      // The place is for the widest block.
      let rows = place.rows(0..<range.count).columns(0..<values.width)
      for (index, row) in range.enumerated() { values.write(node(row), into: rows.row(index)) }
      return rows
    }

    /// Calls `body` with the columns and values of a row that are stored.
    func forEach(of row: Int, _ body: (_ column: Int, _ value: Float) -> Void) {
      values.forEach(of: node(row), body)
    }
  }

  /// The workers of a pass with their work space.
  package struct Team {
    let workers: Workers
    let scratch: [Scratch]
    /// The number of rows that a task computes.
    let chunk: Int
    /// Own the memory of the work space.
    private let owners: [StorageBox]

    /// Creates a team; `owners` has a storage of the plan's layout for each worker.
    package init(_ plan: ScratchPlan, _ owners: [StorageBox], _ workers: Workers) {
      precondition(owners.count == workers.count, "\(owners.count) work spaces of \(workers.count) workers")
      (self.owners, self.workers, chunk) = (owners, workers, plan.chunk)
      scratch = owners.map { plan.scratch($0.storage) }
    }

    /// Calls `body` with ranges of rows, distributed among the workers.
    func eachChunk(of rows: Int, _ body: (Range<Int>, Scratch) -> Void) {
      workers.run((rows + chunk - 1) / chunk) { task, worker in
        body(task * chunk..<min((task + 1) * chunk, rows), scratch[worker])
      }
    }
  }

  // MARK: - Forward

  /// Computes the trace, and with it u [m, D], from x [n, F]. The first m rows of `sources` list nodes below n. `columns`
  /// is for sparse inputs, which are expanded without it.
  package func forward(
    _ x: Inputs, _ sources: Adjacency, _ trace: Trace, _ parameters: borrowing Storage, _ team: Team,
    columns: WeightColumns? = nil
  ) {
    let columns = x.isSparse ? columns : nil
    columns?.transpose(self, parameters, team.workers)
    team.eachChunk(of: trace.nodes) { rows, scratch in
      let outputs = rows.clamped(to: 0..<trace.outputs)
      Elementwise.fillRows(of: trace.output.rows(outputs), with: parameters[bias])
      if let columns {
        for row in rows { columns.project(x, row, trace) }
      } else {
        let input = x.rows(rows, gatheredIn: scratch.inputs)
        projection.forward(input, into: trace.features.rows(rows), parameters)
        skip?.forward(input.rows(0..<outputs.count), adding: trace.output.rows(outputs), parameters)
      }
      score(rows, parameters[source], into: trace.sourceScores, trace)
      score(outputs, parameters[target], into: trace.targetScores, trace)
    }
    team.eachChunk(of: trace.outputs) { rows, scratch in
      for row in rows { attend(row, sources[row], trace, scratch) }
      Self.elu(trace.output.rows(rows))
    }
  }

  private func score(_ rows: Range<Int>, _ vectors: Matrix, into scores: Matrix, _ trace: Trace) {
    let size = vectors.columns
    for row in rows {
      let h = trace.features.row(row)
      for k in 0..<heads {
        scores[row, k] = Elementwise.dot(vectors.row(k), h + k * size, count: size)
      }
    }
  }

  /// u_i += Σ_j alpha_ij h_j
  private func attend(
    _ row: Int, _ sources: UnsafeBufferPointer<Int32>, _ trace: Trace, _ scratch: Scratch
  ) {
    let (context, largest, sums) = (scratch.sums.row(0), scratch.sums.row(1), scratch.sums.row(2))
    let own = trace.targetScores.row(row)
    // LeakyReLU is increasing, so the largest score gives the largest exponent.
    largest.update(from: trace.sourceScores.row(row), count: heads)
    for node in sources {
      let scores = trace.sourceScores.row(Int(node))
      for k in 0..<heads { largest[k] = max(largest[k], scores[k]) }
    }
    for k in 0..<heads {
      largest[k] = leaky(largest[k] + own[k])
      sums[k] = 0
    }
    context.update(repeating: 0, count: width)
    eachEdges(sources, and: row, scratch) { count in
      for edge in 0..<count {
        let scores = trace.sourceScores.row(Int(scratch.nodes[edge]))
        let weights = scratch.weights.row(edge)
        for k in 0..<heads { weights[k] = leaky(scores[k] + own[k]) - largest[k] }
      }
      Self.exponentials(scratch.weights.start, count: count * heads)
      for edge in 0..<count {
        let weights = scratch.weights.row(edge)
        for k in 0..<heads { sums[k] += weights[k] }
      }
      addWeighted(trace.features, count, to: context, scratch)
    }
    let (u, size) = (trace.output.row(row), width / heads)
    for k in 0..<heads {
      trace.logSums[row, k] = largest[k] + log(sums[k])
      Elementwise.add(context + k * size, to: u + k * size, count: size, scale: 1 / sums[k])
    }
  }

  @inline(__always)
  private func leaky(_ value: Float) -> Float { value > 0 ? value : slope * value }

  /// Calls `body` with the number of edges for each group of nodes in a list, and a last one if given; the nodes are in
  /// the scratch.
  @inline(__always)
  func eachEdges(
    _ list: UnsafeBufferPointer<Int32>, and last: Int?, _ scratch: Scratch, _ body: (Int) -> Void
  ) {
    let total = list.count + (last == nil ? 0 : 1)
    var first = 0
    while first < total {
      let count = min(Self.edges, total - first)
      let listed = min(count, list.count - first)
      if listed > 0 { scratch.nodes.update(from: list.baseAddress! + first, count: listed) }
      if let last, listed < count { scratch.nodes[count - 1] = Int32(last) }
      body(count)
      first += count
    }
  }

  /// sum^k += Σ weight^k row^k over the rows of the scratch's edges.              rows [n, D], sum [D]
  @inline(__always)
  func addWeighted(
    _ rows: Matrix, _ count: Int, to sum: UnsafeMutablePointer<Float>, _ scratch: Scratch
  ) {
    let (size, weights) = (width / heads, scratch.weights.start)
    guard size % Vector.scalarCount == 0 else {
      for edge in 0..<count {
        let row = rows.row(Int(scratch.nodes[edge]))
        for k in 0..<heads {
          Elementwise.add(row + k * size, to: sum + k * size, count: size, scale: weights[edge * heads + k])
        }
      }
      return
    }
    // A sum stays in a register over all edges.
    for column in stride(from: 0, to: width, by: Vector.scalarCount) {
      var total = Vector.load(sum + column)
      var weight = weights + column / size
      for edge in 0..<count {
        let value = Vector.load(rows.start + Int(scratch.nodes[edge]) * rows.stride + column)
        total = Vector.multiplyAdd(value, Vector(repeating: weight.pointee), total)
        weight += heads
      }
      total.store(sum + column)
    }
  }

  static func exponentials(_ x: UnsafeMutablePointer<Float>, count: Int) {
    Elementwise.sweep(count) {
      Vector.exp(Vector.load(x + $0)).store(x + $0)
    } scalar: {
      x[$0] = Vector.exp(Vector(repeating: x[$0]))[0]
    }
  }

  /// x = x if x > 0, else e^x - 1, in place.
  private static func elu(_ x: Matrix) {
    for r in 0..<x.rows {
      let row = x.row(r)
      Elementwise.sweep(x.columns) {
        let value = Vector.load(row + $0)
        value.replacing(with: Vector.exp(value) - 1, where: value .<= 0).store(row + $0)
      } scalar: {
        if row[$0] <= 0 { row[$0] = Vector.exp(Vector(repeating: row[$0]))[0] - 1 }
      }
    }
  }
}
