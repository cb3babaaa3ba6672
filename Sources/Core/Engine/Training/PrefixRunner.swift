/// Takes images through blocks that are frozen, and hands out their tokens: what a cache of views is filled
/// with, and advanced by when a stage ends.
///
/// T tokens, D = width.
package final class PrefixRunner {
  /// Where the images stand that go in.
  package enum Start: Sendable, Hashable {
    /// As images [C, H, W], normalised.
    case images
    /// As tokens [T, D] behind so many blocks.
    case tokens(depth: Int)
  }

  private let model: Model
  /// The model's parameters; fill those of the stem and the frozen blocks.
  package let parameters: Storage
  private let memories: [WorkerMemory]
  private let workers: Workers
  private let chunk: Int

  package init(_ model: Model, chunk: Int = 8, workers: Workers) {
    self.model = model
    parameters = Storage(model.layout)
    let plan = WorkerMemory.Plan(chunk: chunk, model.encoder.configuration)
    memories = (0..<workers.count).map { _ in WorkerMemory(plan) }
    (self.workers, self.chunk) = (workers, chunk)
  }

  /// Takes `count` images to behind block `depth`. `read(image, worker, place)` gives each as `start` says;
  /// `write(image, tokens)` takes it [T, D]. Both are called on several threads at once.
  package func run(
    _ count: Int, from start: Start, to depth: Int,
    read: (Int, Int, UnsafeMutablePointer<Float>) -> Void, write: (Int, UnsafePointer<Float>) -> Void
  ) {
    workers.run((count + chunk - 1) / chunk) { task, worker in
      let images = task * chunk..<min((task + 1) * chunk, count)
      let (encoder, memory) = (model.encoder, memories[worker])
      let (trace, scratch) = (memory.frozenTrace(images.count), memory.scratch(images.count))
      let (x, tokens) = (memory.tokens(images.count), encoder.configuration.tokens)
      switch start {
      case .images:
        let patches = memory.patches(images.count)
        memory.cut(images, into: patches, encoder.stem) { read($0, worker, $1) }
        FrozenPrefix(encoder: encoder, depth: depth).forward(patches, into: x, trace, scratch, parameters)
      case .tokens(let first):
        for (index, image) in images.enumerated() { read(image, worker, x.row(index * tokens)) }
        for block in encoder.blocks[first..<depth] { block.forward(x, trace, scratch, parameters) }
      }
      for (index, image) in images.enumerated() { write(image, x.row(index * tokens)) }
    }
  }
}
