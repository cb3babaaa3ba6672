import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation

struct EmbedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embed",
    abstract: "Writes the representations of images, nodes or rows as a NumPy array.",
    usage: "fedclient embed [<options>] --model <file> --data <spec> --out <file>",
    discussion: """
      Writes float32 [examples, numbers of a representation], in the order of the data: images of a folder by path. A \
      row is an example, so an image that cannot be read is an error, and no file is written. All nodes of a graph are \
      represented, each with its neighbours. For example:

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
    let examples = try inference.examples(for: checkpoint.configuration)
    // Files that are broken from their first byte are known before anything is computed.
    guard examples.broken.isEmpty else { throw DatasetError.broken(examples.broken) }
    let (workers, width) = (inference.makeWorkers(), checkpoint.configuration.output)
    let (start, noun) = (ContinuousClock.now, examples.noun)
    let progress = WorkProgress(of: examples.count, "\(noun)s", on: terminal)
    let representations = try representations(of: examples, checkpoint, workers)
    try file.write { path in
      guard let handle = FileHandle(forWritingAtPath: path) else { throw POSIXError(.EIO) }
      defer { try? handle.close() }
      try handle.write(contentsOf: NumPyArray.header(floats: [examples.count, width]))
      for range in inference.blocks(examples.count, workers) {
        do {
          try handle.write(contentsOf: representations(range) { progress.advance() })
        } catch {
          throw error is EncoderEvaluation.NotFinite ? inference.failure(error) : error
        }
      }
      progress.end()
      guard examples.broken.isEmpty else { throw inference.failure(DatasetError.broken(examples.broken)) }
    }
    let rate = Double(examples.count) / ((ContinuousClock.now - start) / .seconds(1))
    return "\(out): \(examples.count) x \(width) numbers, " + String(format: "%.0f %@s/s", rate, noun)
  }

  /// Returns a function that computes the bytes of a range of rows, and calls its second argument for each.
  private func representations(
    of examples: Dataset, _ checkpoint: EncoderCheckpoint, _ workers: Workers
  ) throws -> (Range<Int>, () -> Void) throws -> Data {
    switch examples {
    case .images(let images):
      let embedder = Embedder(checkpoint, workers, chunk: inference.batch)
      return { try embedder.representations(of: images, $0, each: $1).all.bytes }
    case .rows(let rows):
      let embedder = Embedder(checkpoint, workers, chunk: inference.batch)
      return { try embedder.representations(of: rows, $0, each: $1).all.bytes }
    case .nodes(let set):
      // A node needs its neighbours, so all are represented at once.
      let outputs = try NodeRepresentations(set, by: checkpoint, workers)
      return { range, each in
        for _ in range { each() }
        return outputs.matrix.rows(range).bytes
      }
    }
  }
}
