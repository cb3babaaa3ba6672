import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Simulation
import Support

struct BenchGraphCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "graph",
    abstract: "Times a training of L-GCN on one graph, and measures its memory.",
    discussion: """
      Time is that of the training, with what it propagates once a layer, and without reading the graph. Memory is the \
      peak of resident memory after the graph is read. 'make benchgraphs' compares it with PyTorch. For example:

        fedsim bench graph --data 'sbm:100000?degree=20'
      """)

  @Option(help: ArgumentHelp("The nodes: graph:PATH or sbm:NODES (docs/data.md).", valueName: "spec"))
  var data: String

  @Option(help: "Which layers train.")
  var strategy: Strategy = .layerWise

  @Option(help: "Layers, 1 to 256.")
  var depth: Int = 2

  @Option(help: "Width of a layer, 1 to 8192.")
  var width: Int = 16

  @Option(help: "Epochs of a layer, 1 to 10000; end-to-end trains all layers for as many together.")
  var epochs: Int = 80

  @Option(help: "Nodes a step, 1 to 65536.")
  var batch: Int = 256

  @Option(help: "Threads of the engine, 1 to 256.")
  var threads: Int = 1

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard [.layerWise, .endToEnd].contains(strategy) else {
      throw ValidationError("--strategy is layer-wise or end-to-end")
    }
    guard (1...PlanLimits.depth).contains(depth) else { throw ValidationError("--depth is 1 to 256") }
    guard (1...PlanLimits.width).contains(width) else { throw ValidationError("--width is 1 to 8192") }
    guard (1...PlanLimits.epochs).contains(epochs) else { throw ValidationError("--epochs is 1 to 10000") }
    guard (1...PlanLimits.batch).contains(batch) else { throw ValidationError("--batch is 1 to 65536") }
    guard (1...256).contains(threads) else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      var benchmark = GraphBenchmark(data: data)
      (benchmark.strategy, benchmark.depth, benchmark.width) = (strategy, depth, width)
      (benchmark.epochs, benchmark.batch, benchmark.threads) = (epochs, batch, threads)
      let ready = benchmark
      let result: GraphBenchmark.Result
      do {
        result = try await resultUnlessStopped("fedsim") {
          try await TrainingThread.abandonable("benchmark") { try ready.run() }
        }
      } catch let error as DatasetError {
        throw CommandFailure(.data, error.description)
      }
      if json { return try StandardOutput.write(Commands.json(result)) }
      for line in Self.lines(result) { try StandardOutput.write(line) }
    }
  }

  private static func lines(_ result: GraphBenchmark.Result) -> [String] {
    [
      "\(result.nodes) nodes, \(result.edges) edges, \(result.features) features, \(result.trained) nodes train",
      "\(result.strategy), \(result.depth) layers of \(result.width), \(result.steps) steps of \(result.batch)",
      String(
        format: "time    %.2f s: %.2f s propagate, %.2f s steps", result.seconds, result.propagationSeconds,
        result.stepSeconds),
      String(
        format: "memory  %.0f MB with the graph, %.0f MB at most", Double(result.loadedMemoryBytes) / 1e6,
        Double(result.peakMemoryBytes) / 1e6),
      String(
        format: "test    %.1f %% in %.2f s", 100 * result.accuracy, result.inferenceSeconds),
    ]
  }
}
