import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation

struct EmbedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embed",
    abstract: "Writes the representations of images as a NumPy array.",
    usage: "fedclient embed [<options>] --model <file> --data <spec> --out <file>",
    discussion: """
      Writes float32 [images, numbers of a representation], in the order of the images: by path in a folder. A row is \
      an image, so one that cannot be read is an error, and no file is written. For example:

        fedclient embed --model encoder.safetensors --data folder:/srv/images --out images.npy

      \(CommandHelp.dataSpec)
      """)

  @OptionGroup var inference: InferenceOptions

  @Option(
    help: ArgumentHelp("The file to write; an existing one is replaced.", valueName: "file"),
    completion: .file(extensions: ["npy"]))
  var out: String

  func run() async throws {
    try await reporting("fedclient") {
      let (file, terminal) = (try OutputFile(out), Terminal())
      let line = try await resultUnlessStopped("fedclient", on: terminal, undo: file.discard) {
        do {
          return try await TrainingThread.abandonable("embedding") { try embed(to: file, terminal) }
        } catch {
          throw inference.failure(error)
        }
      }
      terminal.end(line)
    }
  }

  /// Returns the line about the file.
  private func embed(to file: OutputFile, _ terminal: Terminal) throws -> String {
    let checkpoint = try readCheckpoint(inference.model)
    let images = try inference.images(for: checkpoint.configuration)
    // Files that are broken from their first byte are known before anything is computed.
    guard images.broken.isEmpty else { throw DatasetError.broken(images.broken) }
    let workers = inference.makeWorkers()
    let embedder = ImageEmbedder(checkpoint, workers, chunk: inference.batch)
    let (start, progress) = (ContinuousClock.now, WorkProgress(of: images.count, "images", on: terminal))
    try file.write { path in
      guard let handle = FileHandle(forWritingAtPath: path) else { throw POSIXError(.EIO) }
      defer { try? handle.close() }
      try handle.write(contentsOf: NumPyArray.header(floats: [images.count, embedder.width]))
      for range in inference.blocks(images.count, workers) {
        do {
          let rows = try embedder.representations(of: images, range) { progress.advance() }
          try handle.write(contentsOf: rows.all.bytes)
        } catch {
          throw error is EncoderEvaluation.NotFinite ? inference.failure(error) : error
        }
      }
      progress.end()
      guard images.broken.isEmpty else { throw inference.failure(DatasetError.broken(images.broken)) }
    }
    let rate = Double(images.count) / ((ContinuousClock.now - start) / .seconds(1))
    return "\(out): \(images.count) x \(embedder.width) numbers, " + String(format: "%.0f images/s", rate)
  }
}
