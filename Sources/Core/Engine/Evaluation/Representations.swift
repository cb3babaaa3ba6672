/// Images' representations by an encoder, without augmentation.
package enum Representations {
  /// One row an image, [count, D]. `write(image, worker, pixels)` gives an image as [C, H, W], normalised.
  package static func of(
    _ count: Int, by model: Model, _ parameters: borrowing Storage, workers: Workers, chunk: Int = 8,
    _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Storage {
    of(count, by: model.encoder, parameters, workers: workers, chunk: chunk, write)
  }

  /// The same of an encoder whose parameters stand in some other layout.
  package static func of(
    _ count: Int, by encoder: any Encoder, _ parameters: borrowing Storage, workers: Workers, chunk: Int = 8,
    _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Storage {
    var layout = Layout()
    let slot = layout.add("representations", count, encoder.configuration.output)
    let result = Storage(layout)
    let rows = result[slot]
    let runners = (0..<workers.count).map { _ in encoder.makeRunner(chunk: chunk) }
    workers.run((count + chunk - 1) / chunk) { task, worker in
      let images = task * chunk..<min((task + 1) * chunk, count)
      let runner = runners[worker]
      runner.begin(images.count, parameters) { write(images.lowerBound + $0, worker, $1) }
      runner.represent(images.count, from: 0, into: rows.rows(images), parameters)
    }
    return result
  }
}
