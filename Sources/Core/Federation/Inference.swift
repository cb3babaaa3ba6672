import Datasets
import Engine
import Synchronization

/// The classification of images by the exits in a file, on several threads.
package final class ImageClassifier {
  package let exits: EncoderCheckpoint.Exits
  /// The multiply-accumulates that the classifier computes for an image.
  package let costs: ExitCosts
  private let parameters: StorageBox
  private let augmenter: Augmenter
  private let workers: Workers
  private let chunk: Int
  /// One for each worker.
  private let runners: [EarlyExits]

  /// Creates a classifier with the exits of a file, whose workers take `chunk` images at a time.
  package init(
    _ checkpoint: EncoderCheckpoint, _ exits: EncoderCheckpoint.Exits, _ workers: Workers, chunk: Int
  ) {
    let model = exits.model(of: checkpoint.configuration)
    (self.exits, self.workers, self.chunk) = (exits, workers, chunk)
    costs = ExitCosts(model, lastBlock: .readout)
    parameters = StorageBox(model.layout.range)
    checkpoint.write(model.layout.entries, into: parameters.storage)
    augmenter = checkpoint.augmenter
    runners = (0..<workers.count).map { _ in EarlyExits(model, chunk: chunk) }
  }

  /// Returns the predictions for a range of images in order; nil for images that cannot be read. Calls `each` for every
  /// image, on any thread. The images must be fitted to the encoder.
  ///
  /// Throws ``EncoderEvaluation/NotFinite``.
  ///
  /// - Parameter threshold: the confidence at which an image leaves; without one all images run to the last exit.
  package func predictions(
    for images: ImageSet, _ range: Range<Int>, confidence threshold: Float?, each: () -> Void = {}
  ) throws(EncoderEvaluation.NotFinite) -> [EarlyExits.Prediction?] {
    let results = Mutex([EarlyExits.Prediction?](repeating: nil, count: range.count))
    workers.run((range.count + chunk - 1) / chunk) { task, worker in
      let part = range.dropFirst(task * chunk).prefix(chunk)
      let predictions = runners[worker].classify(
        part.count, leaving: threshold.map(exits.rule), parameters.storage
      ) { index, pixels in
        augmenter.plain(images, index: part.lowerBound + index, into: pixels)
        each()
      }
      results.withLock { results in
        for (index, prediction) in zip(part, predictions) where images.isReadable(index) {
          results[index - range.lowerBound] = prediction
        }
      }
    }
    let predictions = results.withLock { $0 }
    guard predictions.allSatisfy({ $0?.confidence.isFinite ?? true }) else {
      throw EncoderEvaluation.NotFinite()
    }
    return predictions
  }
}

/// The representations of images or rows by the encoder in a file, on several threads.
package final class Embedder {
  /// The width D of a representation.
  package let width: Int
  private let encoder: any Encoder
  private let parameters: StorageBox
  private let checkpoint: EncoderCheckpoint
  private let workers: Workers
  private let chunk: Int

  /// Creates an embedder whose workers take `chunk` images or rows at a time.
  package init(_ checkpoint: EncoderCheckpoint, _ workers: Workers, chunk: Int) {
    var layout = Layout()
    let configuration = checkpoint.configuration
    encoder = configuration.makeEncoder(blocks: Array(0..<configuration.depth), in: &layout)
    width = encoder.output
    parameters = StorageBox(layout.range)
    checkpoint.write(into: parameters.storage)
    (self.checkpoint, self.workers, self.chunk) = (checkpoint, workers, chunk)
  }

  /// Returns the representations of a range of images [count, D]. Calls `each` for every image, on any thread. The
  /// images must be fitted to the encoder.
  ///
  /// Throws ``EncoderEvaluation/NotFinite``.
  package func representations(
    of images: ImageSet, _ range: Range<Int>, each: () -> Void = {}
  ) throws(EncoderEvaluation.NotFinite) -> Storage {
    let augmenter = checkpoint.augmenter
    return try representations(of: range) {
      augmenter.plain(images, index: $0, into: $1)
      each()
    }
  }

  /// Returns the representations of a range of rows [count, D], which must have the encoder's inputs.
  ///
  /// Throws ``EncoderEvaluation/NotFinite``.
  package func representations(
    of rows: FeatureRows, _ range: Range<Int>, each: () -> Void = {}
  ) throws(EncoderEvaluation.NotFinite) -> Storage {
    try representations(of: range) { row, place in
      for (column, value) in rows.inputs(of: row).enumerated() { place[column] = Float(value) }
      each()
    }
  }

  private func representations(
    of range: Range<Int>, _ write: (Int, UnsafeMutablePointer<Float>) -> Void
  ) throws(EncoderEvaluation.NotFinite) -> Storage {
    let rows = Representations.of(
      range.count, by: encoder, parameters.storage, workers: workers, chunk: chunk
    ) { write(range.lowerBound + $0, $2) }
    guard Elementwise.largestMagnitude(rows.all).isFinite else { throw EncoderEvaluation.NotFinite() }
    return rows
  }
}
