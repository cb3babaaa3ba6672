import ArgumentParser
import Commands
import Datasets
import Engine
import Federation
import Foundation

/// The options of the commands that use a trained model on the data of this device.
struct InferenceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The model, a safetensors file of 'fedserver export'.", valueName: "file"),
    completion: .file(extensions: ["safetensors"]))
  var model: String

  @Option(help: ArgumentHelp("The images, nodes or rows.", valueName: "spec"))
  var data: String

  @Flag(help: "Of data with training and test examples, take those for training. (default: those for test)")
  var train = false

  @Option(help: "Threads, 1 to 256. (default: all cores)")
  var threads: Int?

  @Option(help: ArgumentHelp("Images that a thread takes at a time, 1 to 1024.", valueName: "images"))
  var batch: Int = 32

  func validate() throws {
    guard threads.map((1...256).contains) ?? true else { throw ValidationError("--threads is 1 to 256") }
    guard (1...1024).contains(batch) else { throw ValidationError("--batch is 1 to 1024") }
  }

  /// Starts the threads.
  func makeWorkers() -> Workers { Workers(threads ?? ProcessInfo.processInfo.activeProcessorCount) }

  /// Opens the data, fitted to an encoder. Throws ``DatasetError``.
  func examples(for encoder: EncoderConfiguration) throws(DatasetError) -> Dataset {
    try DataSpec(parsing: data).dataset(role: train ? .train : .test, for: encoder.input)
  }

  /// Returns the ranges of examples between which results are written, each enough work for all threads.
  func blocks(_ count: Int, _ workers: Workers) -> [Range<Int>] {
    let block = workers.count * batch * Self.batches
    return stride(from: 0, to: count, by: block).map { $0..<min($0 + block, count) }
  }

  /// The batches of a thread between two writes: with more, threads seldom wait for the slowest.
  private static let batches = 8

  /// Returns errors of the model and of the images as failures that name them.
  func failure(_ error: any Error) -> any Error {
    error is EncoderEvaluation.NotFinite
      ? CommandFailure(.data, "\(model): \(error)") : RunCommand.failure(error)
  }
}
