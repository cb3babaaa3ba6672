import ArgumentParser
import Commands
import Export
import Federation
import Foundation
import Server

struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes the encoder of a committed round to a file, whether the server runs or not.",
    discussion: """
      The encoder alone, as deep as it is at that stage, without heads. safetensors has the names of timm's
      VisionTransformer (of torchvision's ResNet), and starts another job as its plan's 'initial'; onnx is of
      opset 17. What a file holds: docs/export.md. FILE is replaced where there is one.
      """)

  /// What can be written.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case safetensors, onnx
  }

  @Option(help: ArgumentHelp("The server's SQLite file.", valueName: "file"))
  var database: String

  @Option(help: ArgumentHelp("The stage. (default: that of the last committed round)", valueName: "n"))
  var stage: Int?

  @Option(help: ArgumentHelp("The round of that stage. (default: its last committed one)", valueName: "n"))
  var round: Int?

  @Option(help: ArgumentHelp("safetensors or onnx.", valueName: "format"))
  var format: Format

  @Option(help: ArgumentHelp("The file to write.", valueName: "file"))
  var out: String

  func validate() throws {
    guard stage.map({ $0 > 0 }) ?? true else { throw ValidationError("--stage counts from 1") }
    guard round.map({ $0 > 0 }) ?? true else { throw ValidationError("--round counts from 1") }
    guard round == nil || stage != nil else { throw ValidationError("--round needs --stage") }
  }

  func run() async throws {
    try await reporting("fedserver") {
      let model = try model()
      let checkpoint = model.checkpoint
      try writeFile(try bytes(of: checkpoint), to: out)
      let c = checkpoint.configuration
      let round = "stage \(model.key.stage) round \(model.key.round)"
      print("\(out): \(round), depth \(c.depth), \(c.output) numbers an image")
    }
  }

  private func model() throws(CommandFailure) -> CommittedModel {
    do {
      return try CommittedModel(in: database, stage: stage, round: round)
    } catch {
      throw CommandFailure(.store, error.description)
    }
  }

  private func bytes(of checkpoint: EncoderCheckpoint) throws -> Data {
    do {
      return format == .onnx ? try checkpoint.onnx() : try checkpoint.encoded()
    } catch let error as ExportError {
      throw CommandFailure(.data, "\(database): \(error)")
    }
  }
}
