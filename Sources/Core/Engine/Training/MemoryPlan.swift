/// The memory of a trainer, computed before it is allocated.
package struct MemoryPlan: Sendable {
  /// The name and the bytes of each part.
  package let entries: [(name: String, bytes: Int)]

  /// Computes the memory of a stage's trainer with a number of workers.
  package init(
    _ stage: Stage, _ options: TrainingOptions, workers: Int, lastBlock: LastBlock = .readout
  ) {
    let (float, trained) = (MemoryLayout<Float>.stride, stage.count)
    let objective = stage.model.objective
    // The first shard contains all trained parameters, the others only blocks; each further view or shard of the
    // objective has gradients of the heads.
    let gradients =
      trained + (Trainer.shardCount - 1) * stage.blockRanges.reduce(0) { $0 + $1.count }
      + (objective.headShards - 1 + (options.localViews?.count ?? 0)) * stage.headRange.count
    entries =
      [
        ("parameters", stage.model.layout.bytes),
        ("branches", (1 + (objective.branches.contains(.target) ? 1 : 0)) * trained * float),
        ("gradients", gradients * float),
        ("moments", options.optimiser.moments * trained * float),
        ("batch", BatchMemory(stage, options).layout.bytes),
        ("products", workers * Self.productBytes),
      ]
      + stage.model.encoder.passMemory(
        PassSettings(stage, options, lastBlock: lastBlock), workers: workers)
      + (options.localEncoder(stage.model.encoder)?.passMemory(
        PassSettings(stage, options, lastBlock: lastBlock, ofLocalViews: true), workers: workers) ?? [])
  }

  /// The part of a thread's OpenBLAS buffer that packing the factors of the engine's products uses.
  private static let productBytes = 1 << 20

  package var bytes: Int { entries.reduce(0) { $0 + $1.bytes } }

  /// A stage does not fit into the permitted memory with any options.
  package struct TooSmall: Error, Sendable, CustomStringConvertible {
    /// The least memory that is sufficient.
    package let needed: Int
    package let allowed: Int

    package var description: String {
      "this stage needs at least \((needed + 999_999) / 1_000_000) MB of memory, and \(allowed > 0 ? "\(allowed / 1_000_000) MB are" : "none is") available"
    }
  }

  /// Returns the fastest options with which a stage fits into `allowed` bytes. Smaller chunks cost little and only
  /// change the rounding; slices cost a second forward pass of the encoder and do not change the result. Throws
  /// ``TooSmall``.
  package static func fit(
    _ stage: Stage, _ options: TrainingOptions, workers: Int, allowed: Int
  ) throws(TooSmall) -> TrainingOptions {
    var least = Int.max
    for candidate in candidates(options) {
      let needed = MemoryPlan(stage, candidate, workers: workers).bytes
      if needed <= allowed { return candidate }
      least = min(least, needed)
    }
    throw TooSmall(needed: least, allowed: allowed)
  }

  /// Returns the options to try: whole batches in smaller and smaller chunks; then slices, from the largest to a single
  /// chunk, which only one worker can process.
  private static func candidates(_ options: TrainingOptions) -> [TrainingOptions] {
    let chunks = sequence(first: options.chunk) { $0 > 1 ? $0 / 2 : nil }
    var candidates = chunks.prefix(3).map { options.with(chunk: $0, slice: nil) }
    for chunk in chunks.dropFirst() {
      var slice = options.batch
      while slice >= Trainer.shardCount * chunk {
        candidates.append(options.with(chunk: chunk, slice: slice))
        slice /= 2
      }
    }
    candidates.append(options.with(chunk: 1, slice: 1))
    return candidates
  }
}

extension TrainingOptions {
  fileprivate func with(chunk: Int, slice: Int?) -> TrainingOptions {
    var options = self
    (options.chunk, options.slice) = (chunk, slice)
    return options
  }
}
