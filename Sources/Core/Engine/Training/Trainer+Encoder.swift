/// The encoder, a chunk of images at a time: forward to the class tokens, and back from their gradients.
extension Trainer {
  var rows: Int { 2 * options.batch }
  var chunks: Range<Int> { 0..<(rows + options.chunk - 1) / options.chunk }

  /// The chunks whose traces are kept together.
  var slices: [Range<Int>] {
    let size = max(options.keptRows / options.chunk, 1)
    guard options.keptRows < rows else { return [chunks] }
    return stride(from: 0, to: chunks.count, by: size).map { $0..<min($0 + size, chunks.count) }
  }

  /// The rows of the batch that a chunk covers.
  private func images(of chunk: Int) -> Range<Int> {
    chunk * options.chunk..<min((chunk + 1) * options.chunk, rows)
  }

  /// The rows of a slice's traces that a chunk covers.
  private func places(of chunk: Int, in slice: Range<Int>) -> Range<Int> {
    let (images, first) = (self.images(of: chunk), slice.lowerBound * options.chunk)
    return images.lowerBound - first..<images.upperBound - first
  }

  /// Takes a chunk of images to its class tokens; `slice` is where the trained blocks keep their traces, nil
  /// where they keep none.
  func encode(
    _ chunk: Int, _ worker: Int, keeping slice: Range<Int>?,
    _ write: (Int, Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let (encoder, memory, images) = (stage.model.encoder, memories[worker], self.images(of: chunk))
    let places = slice.map { self.places(of: chunk, in: $0) }
    let (frozen, scratch) = (memory.frozenTrace(images.count), memory.scratch(images.count))
    let patches = places.flatMap { self.patches($0) } ?? memory.patches(images.count)
    let x = memory.tokens(images.count)
    if givesTokens {
      let tokens = encoder.configuration.tokens
      for (index, row) in images.enumerated() {
        write(row / options.batch, row % options.batch, worker, x.row(index * tokens))
      }
    } else {
      memory.cut(images, into: patches, encoder.stem) { row, pixels in
        write(row / options.batch, row % options.batch, worker, pixels)
      }
      // The prefix, shared by the local and the global model.
      FrozenPrefix(encoder: encoder, depth: stage.trainedBlocks.lowerBound)
        .forward(patches, into: x, frozen, scratch, parameters)
    }
    // In a second pass the reference branch has been through already.
    if let branch = batchPlan.reference, slice == nil || slice == chunks {
      let (g, tokens) = (memory.referenceTokens(images.count), batch[branch.tokens].rows(images))
      if stage.trainsStem {
        encoder.stem.forward(patches, into: g, reference)
      } else {
        Elementwise.copy(x, to: g)
      }
      for block in encoder.blocks[fullBlocks] { block.forward(g, frozen, scratch, reference) }
      if let lastBlock {
        lastBlock.forward(g, into: tokens, memory.lastTrace(images.count), scratch, reference)
      } else {
        Elementwise.copy(classTokens(g), to: tokens)
      }
    }
    let tokens = batch[batchPlan.tokens].rows(images)
    for (block, plan) in zip(encoder.blocks[fullBlocks], batchPlan.blocks) {
      block.forward(x, places.map { plan.trace(batch, images: $0) } ?? frozen, scratch, parameters)
    }
    if let lastBlock, let plan = batchPlan.last {
      let trace = places.map { plan.trace(batch, images: $0) } ?? memory.lastTrace(images.count)
      lastBlock.forward(x, into: tokens, trace, scratch, parameters)
    } else {
      Elementwise.copy(classTokens(x), to: tokens)
    }
  }

  /// Gradients of the trained blocks and the stem from a slice of chunks, each lane over its own in order.
  func backpropagate(_ slice: Range<Int>) {
    workers.run(Self.laneCount) { lane, worker in
      for chunk in slice where chunk % Self.laneCount == lane {
        backpropagate(chunk, places(of: chunk, in: slice), memories[worker], lanes[lane].storage)
      }
    }
  }

  private func backpropagate(
    _ chunk: Int, _ places: Range<Int>, _ memory: WorkerMemory, _ gradients: borrowing Storage
  ) {
    let (encoder, first) = (stage.model.encoder, stage.trainedBlocks.lowerBound)
    let images = self.images(of: chunk)
    let scratch = memory.scratch(images.count)
    let dx = memory.gradient(images.count)
    let d = batch[batchPlan.tokenGradients].rows(images)
    if let lastBlock, let plan = batchPlan.last {
      let needsInput = !fullBlocks.isEmpty || stage.trainsStem
      lastBlock.backward(
        d, into: needsInput ? dx : nil, plan.trace(batch, images: places),
        gradient: memory.lastTrace(images.count), scratch, parameters, gradients)
    } else {
      Elementwise.fill(dx, 0)
      Elementwise.copy(d, to: classTokens(dx))
    }
    for index in fullBlocks.reversed() {
      encoder.blocks[index].backward(
        dx, batchPlan.blocks[index - first].trace(batch, images: places), scratch,
        throughInput: index > first || stage.trainsStem, parameters, gradients)
    }
    if let patches = patches(places) { encoder.stem.backward(dx, patches: patches, parameters, gradients) }
  }

  /// The trained blocks that run in full.
  private var fullBlocks: Range<Int> {
    stage.trainedBlocks.lowerBound..<stage.trainedBlocks.upperBound - (lastBlock == nil ? 0 : 1)
  }

  /// The slice's patches of some images, where the stem trains.
  private func patches(_ images: Range<Int>) -> Matrix? {
    guard let slot = batchPlan.patches else { return nil }
    let count = stage.model.encoder.configuration.patches
    return batch[slot].rows(images.lowerBound * count..<images.upperBound * count)
  }

  /// The class token of every image, as a view.                           x [n·T, D] -> [n, D]
  private func classTokens(_ x: Matrix) -> Matrix {
    let tokens = stage.model.encoder.configuration.tokens
    return Matrix(x.start, rows: x.rows / tokens, columns: x.columns, stride: tokens * x.stride)
  }
}
