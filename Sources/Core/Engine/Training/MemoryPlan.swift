/// What a trainer will take, known before a byte of it exists.
package struct MemoryPlan: Sendable {
  /// What for, and how many bytes.
  package let entries: [(name: String, bytes: Int)]

  /// The memory of a stage's trainer with so many workers.
  package init(
    _ stage: Stage, _ options: TrainingOptions, workers: Int, lastBlock: LastBlock = .readout
  ) {
    let (float, trained) = (MemoryLayout<Float>.stride, stage.count)
    let objective = stage.model.objective
    // The first shard has everything that trains, the others blocks only; each further view has its heads' gradients.
    let gradients =
      trained + (Trainer.shardCount - 1) * stage.blockRanges.reduce(0) { $0 + $1.count }
      + (objective.views - 1) * stage.headRange.count
    entries =
      [
        ("parameters", stage.model.layout.bytes),
        ("branches", (1 + (objective.branches.contains(.target) ? 1 : 0)) * trained * float),
        ("gradients", gradients * float),
        ("moments", 2 * trained * float),
        ("batch", BatchMemory(stage, options).layout.bytes),
        ("products", workers * Self.productBytes),
      ]
      + stage.model.encoder.passMemory(
        PassSettings(stage, options, lastBlock: lastBlock), workers: workers)
  }

  /// What OpenBLAS touches of a thread's buffer to pack the factors of products of the engine's sizes.
  private static let productBytes = 1 << 20

  package var bytes: Int { entries.reduce(0) { $0 + $1.bytes } }

  /// A stage does not fit into the memory that it may have, however it is cut.
  package struct TooSmall: Error, Sendable, CustomStringConvertible {
    /// The least that would do.
    package let needed: Int
    package let allowed: Int

    package var description: String {
      "this stage needs \((needed + 999_999) / 1_000_000) MB of memory at least, and may have \(allowed > 0 ? "\(allowed / 1_000_000) MB" : "none")"
    }
  }

  /// The options with which a stage fits into `allowed` bytes: the first that do, from the fastest on.
  /// Smaller chunks cost little and change the rounding alone; slices cost a second pass through the encoder
  /// and change nothing. Throws ``TooSmall``.
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

  /// Whole batches in smaller and smaller chunks; then slices, at first as large as they can be, and at last
  /// of a single chunk, where one worker alone has something to do.
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
