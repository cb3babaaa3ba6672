/// Computes the features of images after frozen blocks, to fill a cache of views, or to advance it when a stage ends.
package final class PrefixRunner {
  /// The type of the input.
  package enum Start: Sendable, Hashable {
    /// Images [C, H, W], normalised.
    case images
    /// Features after `depth` blocks.
    case features(depth: Int)
  }

  private let model: Model
  /// The model's parameters; the caller sets those of the stem and the frozen blocks.
  package let parameters: Storage
  private let runners: [any EncoderRunner]
  private let workers: Workers
  private let chunk: Int

  package init(_ model: Model, chunk: Int = 8, workers: Workers) {
    self.model = model
    parameters = Storage(model.layout)
    runners = (0..<workers.count).map { _ in model.encoder.makeRunner(chunk: chunk) }
    (self.workers, self.chunk) = (workers, chunk)
  }

  /// Computes the features of `count` images after block `depth`. `read(image, worker, place)` writes each input of the
  /// type `start`; `write(image, features)` receives the output. Both are called concurrently on several threads.
  package func run(
    _ count: Int, from start: Start, to depth: Int,
    read: (Int, Int, UnsafeMutablePointer<Float>) -> Void, write: (Int, UnsafePointer<Float>) -> Void
  ) {
    workers.run((count + chunk - 1) / chunk) { task, worker in
      let images = task * chunk..<min((task + 1) * chunk, count)
      let (runner, first) = (runners[worker], images.lowerBound)
      switch start {
      case .images:
        runner.begin(images.count, parameters) { read(first + $0, worker, $1) }
        runner.advance(images.count, from: 0, to: depth, parameters)
      case .features(let from):
        let features = runner.features(images.count, behind: from)
        for index in 0..<images.count { read(first + index, worker, features.row(index)) }
        runner.advance(images.count, from: from, to: depth, parameters)
      }
      let features = runner.features(images.count, behind: depth)
      for index in 0..<images.count { write(first + index, features.row(index)) }
    }
  }
}
