/// A graph convolutional network whose layers can be trained one after the other (L-GCN, arXiv 2003.13606):
/// Z_l = P X_{l-1}, X_l = ReLU(Z_l W_lᵀ), with X_0 = the features of the nodes.
///
/// N nodes, F features, H = width. It has no biases, stem or readout: the output of the last block is the representation
/// of a node [H]. If only the last block trains, its inputs Z are constant, and a step needs neither the graph nor other
/// nodes than those of the batch.
package struct GraphConvolutionNetwork: NodeEncoder {
  package let shape: GraphConvolutionConfiguration
  package let blocks: [Int]
  /// W_l of the existing blocks, with the names of PyTorch Geometric's GCNConv.
  let layers: [GraphConvolution]

  package init(_ shape: GraphConvolutionConfiguration, blocks: [Int], in layout: inout Layout) {
    (self.shape, self.blocks) = (shape, blocks)
    var layers: [GraphConvolution] = []
    for (position, index) in blocks.enumerated() {
      layout.part = "blocks.\(index)"
      layers.append(
        GraphConvolution(
          "convs.\(index)", inputs: position == 0 ? shape.features : shape.width, outputs: shape.width,
          shape.propagation, in: &layout))
    }
    self.layers = layers
  }

  package var output: Int { shape.width }
  package var inputCount: Int { shape.features }

  /// The operations of a node; propagations are no matrix products.
  package var operations: EncoderOperations {
    let blocks = layers.map(\.operations)
    return EncoderOperations(stem: 0, blocks: blocks, lastBlock: blocks.last ?? 0, readout: 0)
  }

  /// The distribution of the authors: uniform within ±1 / √inputs.
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    .uniform(bound: 1 / Float(entry.slot.columns).squareRoot())
  }

  package func makePass(_ settings: PassSettings, workers: Workers) -> any EncoderPass {
    GraphConvolutionPass(self, settings, workers: workers)
  }

  package func passMemory(_ settings: PassSettings, workers: Int) -> [(name: String, bytes: Int)] {
    [("traces", GraphConvolutionPass.Plan(self, settings).layout.bytes)]
  }

  package func makeRunner(chunk: Int) -> any EncoderRunner { GraphConvolutionRunner(self, chunk: chunk) }

  package func runnerMemory(chunk: Int) -> Int {
    GraphConvolutionRunner.Plan(self, chunk: chunk).layout.bytes
  }
}

// MARK: - Whole graphs

extension GraphConvolutionNetwork {
  package var propagatesInputs: Bool { true }

  package func propagate(_ x: Matrix, on graph: Graph, into z: Matrix, _ workers: Workers) {
    var layout = Layout(alignment: 16)
    let slot = Propagation.tile(nodes: graph.count, in: &layout)
    let work = Storage(layout)
    shape.propagation.forward(x, on: graph, into: z, tile: work[slot], workers)
  }

  package func propagate(
    _ x: any NodeValues, node: Int, on graph: Graph, into place: UnsafeMutablePointer<Float>
  ) {
    shape.propagation.forward(x, node: node, on: graph, into: place)
  }

  package func advance(
    block position: Int, _ z: Matrix, on graph: Graph, into y: Matrix, _ parameters: borrowing Storage,
    _ workers: Workers
  ) {
    layers[position].forward(z, into: y, parameters, workers)
  }

  /// Propagates the narrower of input and output, because P (x Wᵀ) = (P x) Wᵀ.
  package func encode(
    block position: Int, _ x: any NodeValues, on graph: Graph, into y: Matrix,
    _ parameters: borrowing Storage, _ workers: Workers
  ) {
    guard x.width > y.columns else {
      let place = Storage(0..<x.count * x.width)
      let z = place.all.reshaped(x.count, x.width)
      x.write(into: z, workers)
      propagate(z, on: graph, into: z, workers)
      return advance(block: position, z, on: graph, into: y, parameters, workers)
    }
    transform(x, layers[position].linear, into: y, parameters, workers)
    propagate(y, on: graph, into: y, workers)
    GraphConvolution.forParts(of: y.rows, workers) { rows, _ in Elementwise.relu(y.rows(rows)) }
  }

  /// y = x Wᵀ for all nodes, of which a part is expanded at a time.
  private func transform(
    _ x: any NodeValues, _ linear: Linear, into y: Matrix, _ parameters: borrowing Storage, _ workers: Workers
  ) {
    if let x = x.matrix {
      return GraphConvolution.forParts(of: y.rows, workers) { rows, _ in
        linear.forward(x.rows(rows), into: y.rows(rows), parameters)
      }
    }
    let part = min(GraphConvolution.part, y.rows) * x.width
    let places = StorageBox(0..<workers.count * part)
    GraphConvolution.forParts(of: y.rows, workers) { rows, worker in
      let place = Matrix(places.storage.all.start + worker * part, rows: rows.count, columns: x.width)
      for (row, node) in rows.enumerated() { x.write(node, into: place.row(row)) }
      linear.forward(place, into: y.rows(rows), parameters)
    }
  }
}

/// A layer of an L-GCN on propagated inputs: y = ReLU(z Wᵀ), z = P x.
///
/// n rows, I inputs, O outputs.
package struct GraphConvolution: Sendable {
  let linear: Linear
  package let propagation: Propagation

  /// Adds `name.lin.weight` to a parameter layout.
  package init(
    _ name: String, inputs: Int, outputs: Int, _ propagation: Propagation, in layout: inout Layout
  ) {
    linear = Linear("\(name).lin", inputs: inputs, outputs: outputs, bias: false, in: &layout)
    self.propagation = propagation
  }

  /// The matrix product's operations for a node.
  var operations: Int { 2 * linear.weight.count }

  /// y = ReLU(z Wᵀ)                                                             z [n, I], y [n, O]
  package func forward(_ z: Matrix, into y: Matrix, _ parameters: borrowing Storage) {
    linear.forward(z, into: y, parameters)
    Elementwise.relu(y)
  }

  /// The same for many rows, in parallel.
  package func forward(_ z: Matrix, into y: Matrix, _ parameters: borrowing Storage, _ workers: Workers) {
    Self.forParts(of: z.rows, workers) { rows, _ in forward(z.rows(rows), into: y.rows(rows), parameters) }
  }

  /// dz = (dy where y > 0) W,  dW += (dy where y > 0)ᵀ z                         nil dz: not needed
  ///
  /// Overwrites dy. The gradient of x is Pᵀ dz.
  package func backward(
    _ dy: Matrix, output y: Matrix, input z: Matrix, into dz: Matrix?, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage
  ) {
    Elementwise.reluBackward(dy, output: y)
    linear.backward(dy, input: z, into: dz, parameters, gradients)
  }

  /// The rows of a part.
  static let part = 256

  /// Calls `body(part, worker)` for parts of rows, in parallel. The parts do not depend on the number of workers.
  static func forParts(of rows: Int, _ workers: Workers, _ body: (Range<Int>, _ worker: Int) -> Void) {
    workers.run((rows + part - 1) / part) { task, worker in
      body(task * part..<min((task + 1) * part, rows), worker)
    }
  }
}

/// The forward pass of one worker for a chunk of nodes, one block at a time: the features that are written behind a depth
/// are the propagated inputs of the next block.
final class GraphConvolutionRunner: EncoderRunner {
  private let encoder: GraphConvolutionNetwork
  private let plan: Plan
  private let storage: Storage

  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    /// The features behind each depth; all depths but 0 share a place.
    let features, hidden, outputs: Slot

    init(_ encoder: GraphConvolutionNetwork, chunk: Int) {
      features = layout.add("features", chunk, encoder.shape.features)
      hidden = layout.add("hidden", chunk, encoder.shape.width)
      outputs = layout.add("outputs", chunk, encoder.shape.width)
    }
  }

  init(_ encoder: GraphConvolutionNetwork, chunk: Int) {
    self.encoder = encoder
    plan = Plan(encoder, chunk: chunk)
    storage = Storage(plan.layout)
  }

  func begin(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let features = features(count, behind: 0)
    for index in 0..<count { image(index, features.row(index)) }
  }

  func features(_ count: Int, behind depth: Int) -> Matrix {
    storage[depth == 0 ? plan.features : plan.hidden].rows(0..<count)
  }

  func advance(_ count: Int, from start: Int, to end: Int, _ parameters: borrowing Storage) {
    guard start < end else { return }
    precondition(end == start + 1, "blocks \(start) to \(end) of a graph, without a propagation between them")
    let outputs = storage[plan.outputs].rows(0..<count)
    encoder.layers[start].forward(features(count, behind: start), into: outputs, parameters)
    Elementwise.copy(outputs, to: features(count, behind: end))
  }

  func represent(_ count: Int, from start: Int, into rows: Matrix, _ parameters: borrowing Storage) {
    advance(count, from: start, to: encoder.layers.count, parameters)
    pool(count, behind: encoder.layers.count, into: rows)
  }

  func pool(_ count: Int, behind depth: Int, into rows: Matrix) {
    Elementwise.copy(features(count, behind: depth), to: rows)
  }
}
