/// Images' representations by an encoder: class tokens after the final normalisation, without augmentation.
package enum Representations {
  /// One row an image, [count, D]. `write(image, worker, pixels)` gives an image as [C, H, W], normalised.
  package static func of(
    _ count: Int, by model: Model, _ parameters: borrowing Storage, workers: Workers, chunk: Int = 8,
    _ write: (Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Storage {
    let encoder = model.encoder
    let c = encoder.configuration
    var layout = Layout()
    let slot = layout.add("representations", count, c.width)
    let result = Storage(layout)
    let rows = result[slot]
    let plan = WorkerMemory.Plan(chunk: chunk, c)
    let memories = (0..<workers.count).map { _ in WorkerMemory(plan) }
    workers.run((count + chunk - 1) / chunk) { task, worker in
      let images = task * chunk..<min((task + 1) * chunk, count)
      let memory = memories[worker]
      let patches = memory.patches(images.count)
      memory.cut(images, into: patches, encoder.stem) { write($0, worker, $1) }
      encode(patches, by: encoder, memory, into: rows.rows(images), parameters)
    }
    return result
  }

  /// Class tokens after the final normalisation of a chunk of images.
  private static func encode(
    _ patches: Matrix, by encoder: Encoder, _ memory: WorkerMemory, into rows: Matrix,
    _ parameters: borrowing Storage
  ) {
    let count = rows.rows
    let (trace, scratch, x) = (memory.frozenTrace(count), memory.scratch(count), memory.tokens(count))
    FrozenPrefix(encoder: encoder, depth: encoder.blocks.count - 1)
      .forward(patches, into: x, trace, scratch, parameters)
    guard let last = encoder.blocks.last else { preconditionFailure("an encoder without blocks") }
    let lastTrace = memory.lastTrace(count)
    ClassTokenBlock(last).forward(x, into: rows, lastTrace, scratch, parameters)
    encoder.norm.forward(rows, into: rows, lastTrace.norm2, parameters)
  }
}
