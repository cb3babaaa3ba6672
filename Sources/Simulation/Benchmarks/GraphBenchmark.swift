import Datasets
import Engine
import Support

/// Times a training of L-GCN on one graph, and measures its memory (arXiv 2003.13606). The whole graph is seen, and the
/// loss is over its training nodes.
package struct GraphBenchmark: Sendable {
  /// A data SPEC of nodes.
  package var data: String
  package var strategy = Strategy.layerWise
  /// The number of layers L and their width H.
  package var (depth, width) = (2, 16)
  /// The epochs of a layer; end-to-end training has L times as many.
  package var epochs = 80
  package var batch = 256
  package var learningRate: Float = 5e-3
  package var threads = 1
  package var seed: UInt64 = 0

  package init(data: String) { self.data = data }

  /// The figures of one run. The names are those of `--json`.
  package struct Result: Sendable, Codable {
    package let data, strategy: String
    /// The numbers of nodes, undirected edges, features, classes, and nodes for training.
    package let nodes, edges, features, classes, trained: Int
    package let depth, width, epochs, batch, threads: Int
    /// The number of optimiser steps of all layers.
    package let steps: Int
    /// The time to read or generate the graph, which is not part of the training.
    package let loadSeconds: Double
    /// The time of a training: what it propagates once a stage, the optimiser steps, and both together.
    package let propagationSeconds, stepSeconds, seconds: Double
    /// The time to classify the test nodes on the whole graph, and the share of right answers.
    package let inferenceSeconds, accuracy: Double
    /// The resident memory with the graph, before the training.
    package let loadedMemoryBytes: Int
    /// The peak resident memory from then on, also of the inference.
    package let peakMemoryBytes: Int
  }

  /// Trains once. Throws a ``DatasetError`` that names what is wrong with the data.
  package func run() throws(DatasetError) -> Result {
    let clock = ContinuousClock()
    let start = clock.now
    guard case .nodes(let set) = try DataSpec(parsing: data).dataset(role: .train) else {
      throw .badSpecification(data, problem: "is not a graph: 'graph:PATH' and 'sbm:NODES' are")
    }
    guard !set.split.train.isEmpty, !set.split.test.isEmpty else {
      throw .badSpecification(data, problem: "has no labelled nodes for training and test")
    }
    let loaded = clock.now - start
    let workers = Workers(threads)
    // The memory of reading is not the training's.
    ProcessMemory.resetPeak()
    let resident = ProcessMemory.resident
    let training = Training(self, set, workers)
    let (model, parameters) = training.run()
    let inferring = clock.now
    let accuracy = Self.accuracy(model, parameters, set, workers)
    return Result(
      data: data, strategy: strategy.rawValue, nodes: set.count, edges: set.graph.edges,
      features: set.features.width, classes: set.classes, trained: set.split.train.count, depth: depth,
      width: width, epochs: epochs, batch: training.batch, threads: threads, steps: training.steps,
      loadSeconds: loaded.seconds, propagationSeconds: training.propagation.seconds,
      stepSeconds: training.stepping.seconds,
      seconds: (training.propagation + training.stepping).seconds,
      inferenceSeconds: (clock.now - inferring).seconds, accuracy: accuracy, loadedMemoryBytes: resident,
      peakMemoryBytes: ProcessMemory.peak)
  }

  private static func accuracy(
    _ model: Model, _ parameters: StorageBox, _ set: NodeSet, _ workers: Workers
  ) -> Double {
    let test = set.split.test
    let answers = EarlyExits.answers(
      model, parameters.storage, features: set.features, on: set.graph, nodes: test, workers: workers)
    let right = zip(test, answers[answers.count - 1]).count { set.labels[$0] == $1.label }
    return Double(right) / Double(test.count)
  }

  /// The stages of a training, one after the other in one process.
  private final class Training {
    private let benchmark: GraphBenchmark
    private let set: NodeSet
    private let workers: Workers
    private let configuration: EncoderConfiguration
    /// The number of nodes in a batch: all training nodes, if they are fewer.
    let batch: Int
    private(set) var steps = 0
    private(set) var (propagation, stepping): (Duration, Duration) = (.zero, .zero)

    init(_ benchmark: GraphBenchmark, _ set: NodeSet, _ workers: Workers) {
      (self.benchmark, self.set, self.workers) = (benchmark, set, workers)
      batch = min(benchmark.batch, set.split.train.count)
      configuration = EncoderConfiguration(
        GraphConvolutionConfiguration(
          features: set.features.width, width: benchmark.width, depth: benchmark.depth))
    }

    /// Returns the trained model and its parameters.
    func run() -> (Model, StorageBox) {
      var prefix = NodePrefix(set.graph, features: set.features)
      var below: (model: Model, parameters: StorageBox)?
      for index in 1...(benchmark.strategy.hasSingleStage ? 1 : benchmark.depth) {
        let stage = Stage(
          benchmark.strategy, index: index, configuration,
          objective: .classification(
            ClassifierConfiguration(classes: set.classes, convention: configuration.classifierConvention)))
        below = (stage.model, train(stage, from: below, &prefix))
      }
      guard let below else { preconditionFailure("a training without a stage") }
      return below
    }

    private func train(
      _ stage: Stage, from below: (model: Model, parameters: StorageBox)?, _ prefix: inout NodePrefix
    ) -> StorageBox {
      let parameters = StorageBox(stage.model.layout.range)
      if let below {
        Initialisation.grow(
          stage.model, into: parameters.storage, from: below.model, below.parameters.storage, .random,
          layersPerStage: 1, seed: benchmark.seed)
      } else {
        Initialisation.random(stage.model, into: parameters.storage, seed: benchmark.seed)
      }
      let clock = ContinuousClock()
      let start = clock.now
      let rows = rows(stage, parameters, &prefix)
      propagation += clock.now - start
      let stepped = clock.now
      let trainer = Trainer(stage, options(stage), workers: workers)
      trainer.parameters.copy(from: parameters.storage)
      trainer.begin()
      steps += trainer.train(rows, seed: benchmark.seed).steps
      parameters.storage.copy(from: trainer.parameters)
      stepping += clock.now - stepped
      return parameters
    }

    private func rows(
      _ stage: Stage, _ parameters: StorageBox, _ prefix: inout NodePrefix
    ) -> any RowSource {
      guard let encoder = stage.model.encoder as? any NodeEncoder else {
        preconditionFailure("no node encoder")
      }
      prefix.freeze(to: stage.prefixDepth, of: encoder, parameters.storage, workers)
      return prefix.rows(
        of: set.split.train, labels: set.split.train.map { set.labels[$0] }, for: encoder, workers)
    }

    private func options(_ stage: Stage) -> TrainingOptions {
      var options = TrainingOptions(
        batch: batch,
        epochs: benchmark.epochs * (benchmark.strategy.hasSingleStage ? benchmark.depth : 1),
        weightDecay: 0, schedule: LearningRateSchedule(rate: benchmark.learningRate))
      options.nodes = set.count
      return options
    }
  }
}
