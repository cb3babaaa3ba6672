import ArgumentParser
import Commands
import Export
import Federation
import Foundation
import Server
import Support

struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract:
      "Writes the encoder of a committed round, or the metrics of all, to a file; the server may be running.",
    usage: """
      fedserver export [<options>] --database <file>
                              --format <format> --out <file>
      """,
    discussion: """
      Writes the encoder with the blocks of that stage and, of a classification, its exits; other heads are omitted. \
      safetensors has the names of timm's VisionTransformer or torchvision's ResNet, and can be the 'initial' of \
      another plan; onnx has opset 17, with an output for each exit (docs/export.md). For example, the last committed round:

        fedserver export --database strata.sqlite --format onnx --out encoder.onnx

      With --metrics, writes the figures of all rounds, layers and clients instead: as csv with a line for each \
      (docs/python.md), or as tensorboard, a file of events in the folder --out:

        fedserver export --database strata.sqlite --metrics --format csv --out metrics.csv
      """)

  /// The output formats.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case safetensors, onnx, csv, tensorboard

    /// Whether it is a format of metrics, and not of encoders.
    var isOfMetrics: Bool { self == .csv || self == .tensorboard }
  }

  @Flag(help: "Write metrics instead of the encoder.")
  var metrics = false

  @OptionGroup var question: DatabaseQuestion

  @Option(
    help: ArgumentHelp(
      "The stage, counted from 1. (default: that of the last committed round)", valueName: "n"))
  var stage: Int?

  @Option(
    help: ArgumentHelp(
      "The round of that stage, counted from 1. (default: its last committed one)", valueName: "n"))
  var round: Int?

  @Option(
    help: ArgumentHelp("The format: safetensors or onnx; of metrics csv or tensorboard.", valueName: "format")
  )
  var format: Format

  @Option(
    help: ArgumentHelp(
      "The file to write; an existing one is replaced. With tensorboard a folder, which gets a new file.",
      valueName: "file"),
    completion: .file(extensions: ["safetensors", "onnx", "csv"]))
  var out: String

  func validate() throws {
    guard stage.map({ $0 > 0 }) ?? true else { throw ValidationError("--stage counts from 1") }
    guard round.map({ $0 > 0 }) ?? true else { throw ValidationError("--round counts from 1") }
    guard round == nil || stage != nil else { throw ValidationError("--round needs --stage") }
    guard metrics == format.isOfMetrics else {
      throw ValidationError(
        metrics
          ? "--metrics needs --format csv or tensorboard" : "--format \(format.rawValue) needs --metrics")
    }
    guard !metrics || stage == nil else {
      throw ValidationError("--metrics writes all rounds, and has no --stage or --round")
    }
  }

  func run() async throws {
    if metrics { return try await writeMetrics() }
    try await question.answer(as: Self.text) { database in
      let file = try OutputFile(out, notIn: database)
      let model = try CommittedModel(in: database, stage: stage, round: round)
      let checkpoint = model.checkpoint
      try file.write(try bytes(of: checkpoint))
      let c = checkpoint.configuration
      return Written(
        file: out, format: format.rawValue, stage: model.key.stage, round: model.key.round, depth: c.depth,
        output: c.output, exits: checkpoint.exits?.depths, classes: checkpoint.exits?.classes.count)
    }
  }

  private func writeMetrics() async throws {
    try await question.answer(as: Self.text) { database -> WrittenMetrics in
      guard let job = try History(database).job() else { throw CommandFailure.noServer(on: database) }
      let figures = JobFigures(job)
      if format == .csv {
        try OutputFile(out, notIn: database).write(Data(figures.csv.utf8))
      } else {
        do {
          try figures.writeEvents(to: URL(fileURLWithPath: out, isDirectory: true))
        } catch {
          throw CommandFailure(.store, "\(out): \(error.systemWords)")
        }
      }
      return WrittenMetrics(
        file: out, format: format.rawValue, rounds: figures.rounds, figures: figures.rows.count)
    }
  }

  private static func text(_ written: WrittenMetrics) -> String {
    "\(written.file): \(counted(written.figures, "figure")) of \(counted(written.rounds, "round"))"
  }

  /// The result of `--metrics` for `--json`.
  private struct WrittenMetrics: Encodable {
    let file, format: String
    let rounds, figures: Int
  }

  /// The result for `--json`.
  private struct Written: Encodable {
    let file, format: String
    let stage, round: Int
    /// The number of the encoder's blocks, and the size of its output.
    let depth, output: Int
    /// The numbers of blocks below the exits, and the number of classes; nil without exits.
    let exits: [Int]?
    let classes: Int?
  }

  private static func text(_ written: Written) -> String {
    let encoder =
      "\(written.file): stage \(written.stage) round \(written.round), depth \(written.depth), "
      + "\(written.output) numbers an image"
    guard let exits = written.exits, let classes = written.classes else { return encoder }
    return encoder + ", \(exits.count) \(exits.count == 1 ? "exit" : "exits") of \(classes) classes"
  }

  private func bytes(of checkpoint: EncoderCheckpoint) throws -> Data {
    do {
      return format == .onnx ? try checkpoint.onnx() : try checkpoint.encoded()
    } catch let error as ExportError {
      throw CommandFailure(.data, "\(question.database): \(error)")
    }
  }
}
