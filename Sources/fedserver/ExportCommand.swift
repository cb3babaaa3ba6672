import ArgumentParser
import Commands
import Export
import Federation
import Foundation
import Server

struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes the encoder and exits of a committed round to a file; the server may be running.",
    usage: """
      fedserver export [<options>] --database <file>
                              --format <format> --out <file>
      """,
    discussion: """
      Writes the encoder with the blocks of that stage and, of a classification, its exits; other heads are omitted. \
      safetensors has the names of timm's VisionTransformer or torchvision's ResNet, and can be the 'initial' of \
      another plan; onnx has opset 17, with an output for each exit (docs/export.md). For example, the last committed round:

        fedserver export --database strata.sqlite --format onnx --out encoder.onnx
      """)

  /// The output formats.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case safetensors, onnx
  }

  @OptionGroup var question: DatabaseQuestion

  @Option(
    help: ArgumentHelp(
      "The stage, counted from 1. (default: that of the last committed round)", valueName: "n"))
  var stage: Int?

  @Option(
    help: ArgumentHelp(
      "The round of that stage, counted from 1. (default: its last committed one)", valueName: "n"))
  var round: Int?

  @Option(help: ArgumentHelp("The file's format.", valueName: "format"))
  var format: Format

  @Option(
    help: ArgumentHelp("The file to write; an existing one is replaced.", valueName: "file"),
    completion: .file(extensions: ["safetensors", "onnx"]))
  var out: String

  func validate() throws {
    guard stage.map({ $0 > 0 }) ?? true else { throw ValidationError("--stage counts from 1") }
    guard round.map({ $0 > 0 }) ?? true else { throw ValidationError("--round counts from 1") }
    guard round == nil || stage != nil else { throw ValidationError("--round needs --stage") }
  }

  func run() async throws {
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
