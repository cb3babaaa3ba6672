/// The frozen prefix of a stage by itself, for benchmarks.
package final class PrefixRunner {
  private let prefix: FrozenPrefix
  private let parameters: Storage
  private let memories: [WorkerMemory]
  private let workers: Workers
  private let chunk: Int

  /// For the blocks below the last of `stage`'s model, with parameters drawn at random.
  package init(_ stage: Stage, chunk: Int, workers: Workers) {
    let encoder = stage.model.encoder
    prefix = FrozenPrefix(encoder: encoder, depth: encoder.blocks.count - 1)
    parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: 1)
    let plan = WorkerMemory.Plan(chunk: chunk, encoder.configuration)
    memories = (0..<workers.count).map { _ in WorkerMemory(plan) }
    (self.workers, self.chunk) = (workers, chunk)
  }

  /// Takes `count` images through the prefix; `write(image, worker, pixels)` gives each as [C, H, W].
  package func run(_ count: Int, _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void) {
    workers.run((count + chunk - 1) / chunk) { task, worker in
      let images = task * chunk..<min((task + 1) * chunk, count)
      let memory = memories[worker]
      let patches = memory.patches(images.count)
      memory.cut(images, into: patches, prefix.encoder.stem) { write($0, worker, $1) }
      prefix.forward(
        patches, into: memory.tokens(images.count), memory.frozenTrace(images.count),
        memory.scratch(images.count), parameters)
    }
  }
}
