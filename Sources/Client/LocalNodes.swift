import Datasets
import Engine
import Federation
import Support
import Synchronization
import Wire

/// The nodes of a graph that a client trains on under a plan.
package struct TrainingNodes: Sendable {
  /// The graph that the training sees: the client's, or the part of its training nodes in the inductive setting.
  package let set: NodeSet
  /// The nodes of the batches: those with a label for training, or all for an objective without labels.
  package let nodes: [Int]
  private let needsLabels: Bool
  /// The numbers of neighbours that a step samples; nil for all.
  private let fanouts: [Int]?

  package init(_ whole: NodeSet, _ plan: Plan) {
    guard case .nodes(let set) = plan.trainingPart(of: .nodes(whole)) else { preconditionFailure("no nodes") }
    (needsLabels, fanouts) = (plan.method.classification != nil, plan.local.neighbours)
    (self.set, nodes) = (set, needsLabels ? set.split.train : Array(0..<set.count))
  }

  /// Whether there is nothing to train on: no label, or without labels no two nodes, which an objective compares.
  package var isExhausted: Bool { nodes.count < (needsLabels ? 1 : 2) }

  /// The labels of ``nodes``; nil for an objective without labels.
  private var labels: [Int]? { needsLabels ? nodes.map { set.labels[$0] } : nil }

  /// Returns the features of all nodes, as the inputs of a model's blocks.
  func prefix() -> NodePrefix { NodePrefix(set.graph, features: set.features) }

  /// Returns the rows of a stage, whose frozen blocks `prefix` has passed.
  func rows(_ stage: Stage, of prefix: NodePrefix, seed: UInt64, _ workers: Workers) -> any RowSource {
    prefix.rows(
      of: nodes, labels: labels, for: Self.encoder(of: stage), fanouts: fanouts, seed: seed, workers)
  }

  static func encoder(of stage: Stage) -> any NodeEncoder {
    guard let encoder = stage.model.encoder as? any NodeEncoder else {
      preconditionFailure("\(type(of: stage.model.encoder)) of nodes")
    }
    return encoder
  }

  /// Returns the bytes of a stage's rows and of the outputs of its frozen blocks, at most.
  func bytes(_ stage: Stage) -> Int {
    let (encoder, depth) = (Self.encoder(of: stage), stage.prefixDepth)
    let inputs = encoder.propagatesInputs ? set.count * encoder.featureSize(behind: depth) : 0
    // While a block is computed, its outputs and those of the block below exist.
    let outputs =
      depth == 0 ? 0 : 2 * set.count * (1...depth).reduce(0) { max($0, encoder.featureSize(behind: $1)) }
    return (inputs + outputs) * MemoryLayout<Float>.stride
  }
}

/// A client's nodes. The inputs of the lowest trained block are computed once a stage, and kept in memory.
struct LocalNodes: LocalExamples {
  private let training: TrainingNodes
  private let frozen = Frozen()

  init(_ set: NodeSet, _ plan: Plan) { training = TrainingNodes(set, plan) }

  var count: Int { training.nodes.count }
  var graphNodes: Int? { training.set.count }
  var spareBytes: Int { 0 }

  /// The rows of the last stage, and the outputs of its frozen blocks, which the next stage takes.
  private final class Frozen: Sendable {
    private struct State {
      /// The stage of `rows`: what trains decides which rows there are, also above the same frozen parts.
      var stage = 0
      /// The digests of the frozen parts that made `prefix`.
      var layers: [Digest] = []
      var prefix: NodePrefix?
      var rows: Rows?
    }

    /// Rows that nothing writes any more.
    private struct Rows: @unchecked Sendable {
      let source: any RowSource
    }

    private let state = Mutex(State())

    /// Returns the rows of a stage above the frozen parts with these digests. `freeze` advances outputs to them, of none or some of
    /// their blocks, and `make` computes the rows.
    func rows(
      stage: Int, for layers: [Digest], startingWith first: NodePrefix,
      freeze: (inout NodePrefix) throws -> Void,
      make: (NodePrefix) -> any RowSource
    ) rethrows -> any RowSource {
      try state.withLock { state in
        if state.stage == stage, state.layers == layers, let rows = state.rows { return rows.source }
        // Another stage has other rows; their memory is free before those of this one exist.
        state.rows = nil
        if !layers.starts(with: state.layers) { state = State() }
        var prefix = state.prefix ?? first
        try freeze(&prefix)
        let rows = Rows(source: make(prefix))
        state = State(stage: stage, layers: layers, prefix: prefix, rows: rows)
        return rows.source
      }
    }
  }

  func select(
    _ stage: Stage, _ assignment: Assignment, _ work: LocalWork, _ progress: LocalWork.Progress,
    note: (ClientEvent) -> Void
  ) throws -> (any SelectedExamples)? {
    guard !training.isExhausted else { return Selected(source: nil, count: count) }
    let workers = Workers(work.threads)
    let parts = stage.prefixParts
    let source = try frozen.rows(
      stage: stage.index, for: assignment.parts.prefix(parts.count).map(\.digest),
      startingWith: training.prefix()
    ) { prefix in
      // Rows that are kept are a part of the process's memory already.
      try work.requireMemory(training.bytes(stage), assignment.key)
      let parameters = Storage(stage.model.layout)
      try work.read(parts, of: assignment, into: parameters)
      prefix.freeze(
        to: stage.prefixDepth, of: TrainingNodes.encoder(of: stage), parameters, workers)
    } make: {
      training.rows(stage, of: $0, seed: assignment.seed, workers)
    }
    guard !progress.isStopped else { return nil }
    // The rows are those of all rounds of a stage, and each round samples other neighbours.
    guard var rows = source as? NodeRows else { return Selected(source: source, count: count) }
    rows.seed = assignment.seed
    return Selected(source: rows, count: count)
  }

  /// The nodes of a round.
  private struct Selected: SelectedExamples {
    /// Nil if there is nothing to train on.
    let source: (any RowSource)?
    let count: Int

    var isExhausted: Bool { source == nil }

    func rows(
      _ stage: Stage, _ assignment: Assignment, _ work: LocalWork, _ options: TrainingOptions
    ) throws -> any RowSource {
      guard let source else { preconditionFailure("a training without nodes") }
      return source
    }

    func check(_ rows: any RowSource) throws(ClientError) -> Int { count }
  }
}
