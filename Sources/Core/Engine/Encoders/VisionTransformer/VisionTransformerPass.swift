/// The part of a vision transformer in a training step, one chunk of images at a time: forward to the class tokens, and
/// backward from their gradients.
///
/// A chunk is computed once in the frozen prefix, whose output is the input of all branches. Rows whose traces do not
/// fit into memory are computed twice: once for their class tokens, and again slice by slice for the gradients.
final class VisionTransformerPass {
  private let encoder: VisionTransformer
  private let settings: PassSettings
  private let plan: Plan
  private let memory: Storage
  private let runners: [VisionTransformerRunner]
  private let workers: Workers
  /// The last block, if it is computed only for the class token.
  private let lastBlock: ClassTokenBlock?
  private let noGradients = StorageBox([])
  /// The order in which the forward pass takes the chunks.
  private let order: [Int]

  init(_ encoder: VisionTransformer, _ settings: PassSettings, workers: Workers) {
    (self.encoder, self.settings, self.workers) = (encoder, settings, workers)
    order = settings.chunksByImage
    plan = Plan(encoder, settings)
    memory = Storage(plan.layout)
    runners = (0..<workers.count).map { _ in
      VisionTransformerRunner(
        encoder, chunk: settings.chunk, keepsBranches: !settings.branchPenalties.isEmpty)
    }
    lastBlock =
      Plan.computesWholeLastBlock(encoder, settings) ? nil : encoder.layers.last.map { ClassTokenBlock($0) }
  }

  private var chunks: Range<Int> { 0..<settings.chunks }

  private var penalties: BranchPenalties? {
    plan.penalties?.penalties(memory, rows: settings.rows * encoder.shape.tokens)
  }

  /// The ranges of chunks whose traces are kept together.
  private var slices: [Range<Int>] {
    let size = max(settings.keptRows / settings.chunk, 1)
    guard settings.keptRows < settings.rows else { return [chunks] }
    return stride(from: 0, to: chunks.count, by: size).map { $0..<min($0 + size, chunks.count) }
  }

  /// Returns the rows of the batch in a chunk.
  private func rows(of chunk: Int) -> Range<Int> {
    chunk * settings.chunk..<min((chunk + 1) * settings.chunk, settings.rows)
  }

  /// Returns the rows of a chunk in the traces of a slice.
  private func places(of chunk: Int, in slice: Range<Int>) -> Range<Int> {
    let (rows, first) = (rows(of: chunk), slice.lowerBound * settings.chunk)
    return rows.lowerBound - first..<rows.upperBound - first
  }

  /// The blocks above the prefix that are computed for all tokens.
  private var fullBlocks: Range<Int> {
    settings.prefix..<encoder.layers.count - (lastBlock == nil ? 0 : 1)
  }

  /// Returns the slice's patches of some rows, if the stem trains.
  private func patches(_ rows: Range<Int>) -> Matrix? {
    guard let slot = plan.patches else { return nil }
    let count = encoder.shape.shownPatches
    return memory[slot].rows(rows.lowerBound * count..<rows.upperBound * count)
  }

  /// Returns what the pooled features are made of, as a view: the class tokens of all images or, if only some patches are
  /// shown, all tokens.                                            x [n·T, D] -> [n, D] or [n, T·D]
  private func pooledTokens(_ x: Matrix) -> Matrix {
    let tokens = encoder.shape.tokens
    if settings.shownPatches != nil { return x.reshaped(x.rows / tokens, tokens * x.columns) }
    return Matrix(x.start, rows: x.rows / tokens, columns: x.columns, stride: tokens * x.stride)
  }
}

// MARK: - Forward

extension VisionTransformerPass: EncoderPass {
  func forward(
    _ parameters: borrowing Storage, _ images: Minibatch, into pooled: Matrix, branches: [PooledBranch]
  ) {
    let kept = slices.count == 1 ? slices[0] : nil
    workers.run(order.count) { task, worker in
      encode(order[task], worker, keeping: kept, parameters, images, into: pooled, branches)
    }
  }

  /// Computes the class tokens of a chunk. The trained blocks keep their traces in `slice`; if it is nil, they keep
  /// none.
  private func encode(
    _ chunk: Int, _ worker: Int, keeping slice: Range<Int>?, _ parameters: borrowing Storage,
    _ images: Minibatch, into pooled: Matrix, _ branches: [PooledBranch]
  ) {
    let (rows, runner) = (rows(of: chunk), runners[worker])
    let places = slice.map { self.places(of: chunk, in: $0) }
    let patches = places.flatMap { self.patches($0) } ?? runner.patches(rows.count)
    let x = runner.tokens(rows.count)
    func give(_ row: Int, _ place: UnsafeMutablePointer<Float>) {
      images.write(
        view: settings.firstView + row / settings.batch, image: row % settings.batch, worker: worker,
        into: place)
    }
    func shown(_ index: Int) -> UnsafeBufferPointer<Int32> { images.shown(rows.lowerBound + index) }
    if images.givesFeatures {
      for row in rows { give(row, x.row((row - rows.lowerBound) * encoder.shape.tokens)) }
    } else {
      for row in settings.writingOrder(rows) {
        let index = row - rows.lowerBound
        runner.cut(index, into: patches, shown: images.shown(row)) { give(row, $0) }
      }
      encoder.stem.forward(patches, into: x, parameters, shown: shown)
      runner.advance(rows.count, from: 0, to: settings.prefix, parameters)
    }
    for branch in branches {
      let g = runner.branchTokens(rows.count)
      if settings.trainsStem {
        encoder.stem.forward(patches, into: g, branch.parameters.storage, shown: shown)
      } else {
        Elementwise.copy(x, to: g)
      }
      advance(
        g, into: branch.pooled.rows(rows), runner, keeping: nil, branch.parameters.storage,
        frozen: parameters)
    }
    advance(x, into: pooled.rows(rows), runner, keeping: places, parameters, frozen: parameters)
  }

  /// Computes the class tokens [n, D] from a chunk's tokens x [n·T, D] at the end of the prefix, with the parameters
  /// `trained` for trained blocks and `frozen` for the others.
  private func advance(
    _ x: Matrix, into tokens: Matrix, _ runner: VisionTransformerRunner, keeping places: Range<Int>?,
    _ trained: borrowing Storage, frozen: borrowing Storage
  ) {
    let (count, scratch) = (tokens.rows, runner.scratch(tokens.rows))
    for (index, plan) in zip(fullBlocks, plan.blocks) {
      let trace =
        places.map { plan.trace(memory, images: $0) }
        ?? runner.frozenTrace(count, keepsBranches: settings.keepsBranches(ofBlock: index))
      if settings.trainedBlocks.contains(index) {
        encoder.layers[index].forward(x, trace, scratch, trained)
      } else {
        encoder.layers[index].forward(x, trace, scratch, frozen)
      }
    }
    if let lastBlock, let plan = plan.last {
      let trace = places.map { plan.trace(memory, images: $0) } ?? runner.lastTrace(count)
      if settings.trainedBlocks.contains(encoder.layers.count - 1) {
        lastBlock.forward(x, into: tokens, trace, scratch, trained)
      } else {
        lastBlock.forward(x, into: tokens, trace, scratch, frozen)
      }
    } else {
      Elementwise.copy(pooledTokens(x), to: tokens)
    }
  }

  // MARK: - Backward

  func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ images: Minibatch, pooled: Matrix,
    into shards: [StorageBox]
  ) -> [LossTerms.Term] {
    penalties?.clear()
    for slice in slices {
      if slices.count > 1 {
        workers.run(slice.count) { task, worker in
          encode(
            slice.lowerBound + task, worker, keeping: slice, parameters, images, into: pooled, [])
        }
      }
      workers.run(shards.count) { shard, worker in
        for chunk in slice where chunk % shards.count == shard {
          backpropagate(chunk, in: slice, d, images, runners[worker], parameters, shards[shard])
        }
      }
    }
    return penalties?.terms ?? []
  }

  /// d is the gradient of the whole batch's class tokens [rows, D].
  private func backpropagate(
    _ chunk: Int, in slice: Range<Int>, _ d: Matrix, _ images: Minibatch, _ runner: VisionTransformerRunner,
    _ parameters: borrowing Storage, _ gradients: StorageBox
  ) {
    let (d, places, penalties) = (d.rows(rows(of: chunk)), places(of: chunk, in: slice), penalties)
    let first = settings.prefix
    func storage(_ block: Int) -> StorageBox {
      settings.trainedBlocks.contains(block) ? gradients : noGradients
    }
    let (scratch, dx) = (runner.scratch(d.rows), runner.gradient(d.rows))
    if let lastBlock, let plan = plan.last {
      let needsInput = !fullBlocks.isEmpty || settings.trainsStem
      lastBlock.backward(
        d, into: needsInput ? dx : nil, plan.trace(memory, images: places),
        gradient: runner.lastTrace(d.rows), scratch, parameters, storage(encoder.layers.count - 1).storage)
    } else {
      Elementwise.fill(dx, 0)
      Elementwise.copy(d, to: pooledTokens(dx))
    }
    for index in fullBlocks.reversed() {
      encoder.layers[index].backward(
        dx, plan.blocks[index - first].trace(memory, images: places), scratch,
        throughInput: index > first || settings.trainsStem, parameters, storage(index).storage
      ) { branch, gradient in
        penalties?.apply(branch, chunk: chunk, adding: gradient)
      }
    }
    if let patches = patches(places) {
      let first = rows(of: chunk).lowerBound
      encoder.stem.backward(dx, patches: patches, parameters, gradients.storage) { images.shown(first + $0) }
    }
  }
}
