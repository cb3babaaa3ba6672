import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Server
import Simulation

struct EvaluateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Evaluates an encoder on labelled images or nodes: linear probe, k-NN, fine-tuning.",
    usage: """
      fedsim evaluate [<options>] <encoder> --train <spec> --test <spec>
      fedsim evaluate [<options>] --features --train <spec> --test <spec>
      """,
    discussion: """
      ENCODER is an encoder.safetensors of 'fedsim run' or 'fedserver export', or any safetensors file with the names \
      of timm's VisionTransformer. Such a file does not describe the encoder completely: give the options for image, \
      patch and heads. Its images are normalised by a plan's defaults. docs/method.md, Evaluation, describes the \
      methods. For example:

        fedsim evaluate encoder.safetensors --train cifar10:DIR --test cifar10:DIR

      With --features the nodes of graphs are classified without an encoder, by their features after --hops \
      propagations:

        fedsim evaluate --features --hops 2 --train graph:cora.npz --test graph:cora.npz

      \(CommandHelp.dataSpec)
      """)

  @Argument(help: "The encoder, a safetensors file.", completion: .file(extensions: ["safetensors"]))
  var encoder: String?

  @Option(help: ArgumentHelp("Labelled images or nodes to fit classifiers on.", valueName: "spec"))
  var train: String

  @Option(help: ArgumentHelp("Labelled images or nodes to test the classifiers on.", valueName: "spec"))
  var test: String

  @Option(help: ArgumentHelp("Epochs of fine-tuning; 0: no fine-tuning.", valueName: "epochs"))
  var fineTune: Int = 0

  @Option(help: "The seed of fine-tuning.")
  var seed: UInt64 = 1

  @Option(help: "Threads of the engine, 1 to 256. (default: all cores)")
  var threads: Int?

  @Option(
    help: ArgumentHelp("Side of an image, if the file does not contain it.", valueName: "pixels"))
  var image: Int?

  @Option(
    help: ArgumentHelp("Side of a patch, if the file does not contain it.", valueName: "pixels"))
  var patch: Int?

  @Option(help: "Attention heads of a block, if the file does not contain them.")
  var heads: Int?

  @Flag(help: "Evaluate the features of nodes in place of an encoder.")
  var features = false

  @Option(help: "Propagations of the features over the graph, 0 to 64.")
  var hops: Int = 0

  @Option(help: "What a propagation takes, as encoder.propagation of a plan.")
  var propagation: Propagation = .mean

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard features == (encoder == nil) else {
      throw ValidationError(features ? "--features takes no encoder" : "give an encoder, or --features")
    }
    guard features || hops == 0 else { throw ValidationError("--hops is of --features") }
    guard (0...64).contains(hops) else { throw ValidationError("--hops is 0 to 64") }
    guard (0...10_000).contains(fineTune) else { throw ValidationError("--fine-tune is 0 to 10000") }
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let terminal = Terminal()
      let report = try await resultUnlessStopped("fedsim", on: terminal) {
        try await TrainingThread.abandonable("evaluation") { try evaluate(on: terminal) }
      }
      try StandardOutput.write(json ? Commands.json(report) : report.table)
    }
  }

  private func evaluate(on terminal: Terminal) throws -> EvaluationReport {
    let start = ContinuousClock.now
    guard let encoder else { return try evaluateFeatures(on: terminal) }
    let checkpoint = try readCheckpoint(encoder, .init(image: image, patch: patch, heads: heads))
    let input = checkpoint.configuration.input
    let evaluation = try evaluation(load(train, .train, input), load(test, .test, input))
    let images = WorkProgress(
      of: evaluation.trainCount + evaluation.testCount, "\(evaluation.train.noun)s", on: terminal)
    var tuning: WorkProgress?
    let accuracies: EncoderEvaluation.Accuracies
    do {
      accuracies = try evaluation.accuracies(of: checkpoint) { step, steps in
        tuning = tuning ?? WorkProgress(of: steps, "steps", on: terminal)
        tuning?.set(step, "fine-tuning")
      } image: {
        images.advance()
      }
    } catch {
      terminal.clear()
      throw CommandFailure(.data, "\(encoder): \(error)")
    }
    terminal.clear()
    if let line = BrokenFile.summary(evaluation.train.broken + evaluation.test.broken) { terminal.line(line) }
    return EvaluationReport(accuracies, evaluation, seconds: (ContinuousClock.now - start).seconds)
  }

  private func evaluateFeatures(on terminal: Terminal) throws -> EvaluationReport {
    let start = ContinuousClock.now
    guard case .nodes(let train) = try load(self.train, .train, nil) else {
      throw CommandFailure(.data, "\(self.train): --features is for the nodes of graphs")
    }
    let test = try load(self.test, .test, .nodes(features: train.features.width))
    let evaluation = try evaluation(.nodes(train), test)
    let nodes = WorkProgress(of: evaluation.trainCount + evaluation.testCount, "nodes", on: terminal)
    let found = evaluation.accuraciesOfFeatures(hops: hops, propagation) { nodes.advance() }
    terminal.clear()
    return EvaluationReport(
      found.accuracies, evaluation, unstandardised: found.unstandardised,
      seconds: (ContinuousClock.now - start).seconds)
  }

  private func evaluation(_ train: Dataset, _ test: Dataset) throws(CommandFailure) -> EncoderEvaluation {
    do throws(DatasetError) {
      return try EncoderEvaluation(
        train: train, test: test, fineTuningEpochs: fineTune, seed: seed,
        threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    } catch {
      throw CommandFailure(.data, error.description)
    }
  }

  private func load(
    _ text: String, _ role: DataRole, _ input: EncoderInput?
  ) throws(CommandFailure) -> Dataset {
    do throws(DatasetError) {
      return try DataSpec(parsing: text).dataset(role: role, for: input)
    } catch {
      throw CommandFailure(.data, error.description)
    }
  }
}

extension Propagation: ExpressibleByArgument {}

/// The report of `fedsim evaluate`.
struct EvaluationReport: Encodable {
  private let linearProbe, nearestNeighbours: Double
  private let fineTuned, logisticRegression, unstandardised, smoothness: Double?
  private let trainImages, testImages, fineTuningEpochs: Int
  private let seed: UInt64
  private let seconds: Double
  /// The word for one example.
  private let noun: String

  private enum CodingKeys: CodingKey {
    case linearProbe, nearestNeighbours, fineTuned, logisticRegression, unstandardised, smoothness
    case trainImages, testImages, fineTuningEpochs, seed, seconds
  }

  init(
    _ accuracies: EncoderEvaluation.Accuracies, _ evaluation: EncoderEvaluation,
    unstandardised: Double? = nil, seconds: Double
  ) {
    self.unstandardised = unstandardised
    (linearProbe, nearestNeighbours) = (accuracies.linearProbe, accuracies.nearestNeighbours)
    (fineTuned, fineTuningEpochs) = (accuracies.fineTuned, evaluation.fineTuningEpochs)
    (logisticRegression, smoothness) = (accuracies.logisticRegression, accuracies.smoothness)
    (trainImages, testImages) = (evaluation.trainCount, evaluation.testCount)
    noun = evaluation.train.noun
    (seed, self.seconds) = (evaluation.seed, seconds)
  }

  var table: String {
    var lines = [
      "\(noun)s".padding(toLength: 17, withPad: " ", startingAt: 0)
        + "\(trainImages) to fit, \(testImages) to test",
      String(format: "linear probe     %.1f %%", 100 * linearProbe),
      String(format: "k-NN             %.1f %%", 100 * nearestNeighbours),
    ]
    if let fineTuned {
      let epochs = fineTuningEpochs == 1 ? "1 epoch" : "\(fineTuningEpochs) epochs"
      lines.append(String(format: "fine-tuned       %.1f %%, %@", 100 * fineTuned, epochs))
    }
    if let logisticRegression {
      let other = unstandardised.map { String(format: ", %.1f %% without standardisation", 100 * $0) } ?? ""
      lines.append(String(format: "logistic         %.1f %%", 100 * logisticRegression) + other)
    }
    if let smoothness { lines.append(String(format: "smoothness       %.3f", smoothness)) }
    lines.append(String(format: "time             %.1f s", seconds))
    return lines.joined(separator: "\n")
  }
}
