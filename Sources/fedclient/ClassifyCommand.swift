import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation
import Support

struct ClassifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "classify",
    abstract: "Classifies images or nodes with early exits: class, confidence, and the exit used.",
    usage: "fedclient classify [<options>] --model <file> --data <spec>",
    discussion: """
      With --confidence an image leaves at the first exit whose confidence, the probability of the class, is at least \
      that number; the later layers run only for the others. Without it all images run to the last exit. The last line \
      on standard error has the speed, the images that left at each exit, the multiply-accumulates, and, if the images \
      have labels of the model's classes, the accuracy. All nodes of a graph are classified, each with its neighbours; \
      the accuracy is then that of the test nodes. For example:

        fedclient classify --model model.safetensors --data folder:/srv/images --confidence 0.9 --format csv

      \(CommandHelp.dataSpec)
      """)

  /// The output formats.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case lines, csv, json
  }

  @OptionGroup var inference: InferenceOptions

  @Option(
    help: ArgumentHelp("The confidence at which an image leaves, 0 to 1. (default: no early exits)"))
  var confidence: Float?

  @Option(help: ArgumentHelp("The format of the results.", valueName: "format"))
  var format: Format = .lines

  @Option(
    help: ArgumentHelp(
      "The file to write; an existing one is replaced. (default: standard output)", valueName: "file"),
    completion: .file(extensions: ["txt", "csv", "json"]))
  var out: String?

  func validate() throws {
    guard confidence.map({ $0 >= 0 && $0 <= 1 }) ?? true else {
      throw ValidationError("--confidence is 0 to 1")
    }
  }

  func run() async throws {
    try await reporting("fedclient") {
      let (file, terminal) = (try out.map { path in try OutputFile(path) }, Terminal())
      let summary = try await resultUnlessStopped(
        "fedclient", on: terminal, undo: { file?.discard() }
      ) {
        do {
          return try await TrainingThread.abandonable("classification") { try classify(to: file, terminal) }
        } catch {
          throw inference.failure(error)
        }
      }
      for line in summary.lines { terminal.line(line) }
    }
  }

  private func classify(to file: OutputFile?, _ terminal: Terminal) throws -> ClassificationSummary {
    let checkpoint = try readCheckpoint(inference.model)
    let (all, predictions) = try classified(by: checkpoint, inference.makeWorkers())
    func run(_ write: (String) throws -> Bool) throws -> ClassificationSummary {
      let progress = WorkProgress(of: all.count, "\(all.noun)s", on: terminal)
      return try results(of: all, predictions, progress, write)
    }
    guard let file else { return try run { try StandardOutput.writePart($0) } }
    var summary: ClassificationSummary?
    try file.write { path in
      guard let handle = FileHandle(forWritingAtPath: path) else { throw POSIXError(.EIO) }
      defer { try? handle.close() }
      do {
        summary = try run {
          try handle.write(contentsOf: Data($0.utf8))
          return true
        }
      } catch {
        throw inference.failure(error)
      }
    }
    guard let summary else { preconditionFailure("a file without results") }
    return summary
  }

  /// Returns the predictions of a range; nil for an image that cannot be read. Calls its second argument for each.
  private typealias Predictions = (Range<Int>, () -> Void) throws -> [EarlyExits.Prediction?]

  /// Opens the data, and prepares their classification.
  private func classified(
    by checkpoint: EncoderCheckpoint, _ workers: Workers
  ) throws -> (Classified, Predictions) {
    guard let exits = checkpoint.exits else {
      throw CommandFailure(
        .data,
        "\(inference.model): it has an encoder without exits; classify needs the export of a classification, and 'fedclient embed' uses any encoder"
      )
    }
    let examples = try inference.examples(for: checkpoint.configuration)
    let blocks = inference.blocks(examples.count, workers)
    switch examples {
    case .images(let images):
      let classifier = ImageClassifier(checkpoint, exits, workers, chunk: inference.batch)
      return (
        Classified(examples, exits, classifier.costs, blocks: blocks),
        { [confidence] in try classifier.predictions(for: images, $0, confidence: confidence, each: $1) }
      )
    case .nodes(let set):
      let classifier = NodeClassifier(checkpoint, exits, workers)
      var all = Classified(examples, exits, classifier.costs, blocks: blocks)
      all.keep(labelsOf: inference.train ? set.split.train : set.split.test)
      let predictions = try classifier.predictions(for: set, confidence: confidence)
      return (
        all,
        { range, each in
          for _ in range { each() }
          return Array(predictions[range])
        }
      )
    case .rows: preconditionFailure("exits of a regression")
    }
  }

  /// Classifies all examples, and passes the results to `write` as they are ready, until it returns false.
  private func results(
    of all: Classified, _ predictions: Predictions, _ progress: WorkProgress,
    _ write: (String) throws -> Bool
  ) throws -> ClassificationSummary {
    var summary = ClassificationSummary(all, confidence: confidence)
    var text = ClassificationText(format, all)
    var isRead = true
    for range in all.blocks where isRead {
      let found = try predictions(range) { progress.advance() }
      progress.end()
      var rows = summary.count == 0 ? text.beginning : ""
      for (index, prediction) in zip(range, found) {
        guard let prediction else { continue }
        summary.count(prediction, index)
        rows += try text.row(all.examples.name(of: index), prediction)
      }
      // Without a readable image there is no result, not even its beginning.
      if summary.count > 0 { isRead = try write(rows) }
    }
    try summary.end()
    if isRead { _ = try write(try text.end(summary)) }
    return summary
  }
}
