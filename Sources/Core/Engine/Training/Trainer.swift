/// Trains one stage of an encoder: the method itself.
///
/// B images a step in V views, V·B rows: row v·B + i is view v of image i. F = pooled width.
///
/// A chunk of rows goes through the frozen prefix once; from its output the online branch parts, and with it the
/// reference branch (the global model as received) and the target branch (a moving average), where there are such.
/// Behind the encoder the whole batch is the objective's. The result does not depend on the number of workers, to the
/// bit: gradients are summed in a fixed number of shards, each over its own chunks in order.
package final class Trainer {
  package let stage: Stage
  package let options: TrainingOptions
  /// The whole model's parameters; a trainer changes those of the stage's parts only.
  package let parameters: Storage
  /// What trains, as it was received.
  let reference: StorageBox
  /// The target branch's copy of what trains, where the objective has one.
  private let target: StorageBox?
  /// Gradients. The first shard has everything that trains, and ends up with the sum; the others have blocks only.
  private let shards: [StorageBox]
  /// Gradients of readout and heads, one for each view; the first view's are in the first shard.
  private let headGradients: [StorageBox]
  private var optimiser: AdamW
  private let encoderPass: any EncoderPass
  private let memory: BatchMemory
  private let work: Storage
  private let weightPenalties: [any WeightPenalty]
  let workers: Workers

  static let shardCount = 4

  /// Allocates everything that training needs; fill `parameters` and call ``begin()``.
  package init(
    _ stage: Stage, _ options: TrainingOptions, workers: Workers, lastBlock: LastBlock = .readout
  ) {
    self.stage = stage
    self.options = options
    self.workers = workers
    let objective = stage.model.objective
    parameters = Storage(stage.model.layout)
    reference = StorageBox(stage.ranges)
    target = objective.branches.contains(.target) ? StorageBox(stage.ranges) : nil
    let shards = (0..<Self.shardCount).map { StorageBox($0 == 0 ? stage.ranges : stage.blockRanges) }
    self.shards = shards
    headGradients = (0..<objective.views).map { $0 == 0 ? shards[0] : StorageBox(stage.headRange) }
    optimiser = AdamW(stage.ranges, moving: stage.optimised, weightDecay: options.weightDecay)
    encoderPass = stage.model.encoder.makePass(
      PassSettings(stage, options, lastBlock: lastBlock), workers: workers)
    memory = BatchMemory(stage, options)
    work = Storage(memory.layout)
    weightPenalties = options.weightPenalties
  }

  /// Takes the parameters as they are now as the global model as received; the target branch starts there.
  package func begin() {
    reference.storage.copy(from: parameters)
    target?.storage.copy(from: parameters)
  }

  /// One optimiser step. Returns the loss before it.
  package func step(learningRate: Float, _ images: Minibatch) -> LossTerms {
    precondition(images.count == options.batch, "\(images.count) images for a batch of \(options.batch)")
    for gradients in shards + headGradients.dropFirst() { gradients.storage.clear() }
    let batch = pooled(images)
    encoderPass.forward(parameters, images, into: batch.pooled, branches: batch.branches)
    var loss = memory.objective.run(batch, parameters, work, workers)
    loss.add(encoderPass.backward(batch.gradients, parameters, images, pooled: batch.pooled, into: shards))
    sumGradients()
    for penalty in weightPenalties {
      let value = penalty.loss(
        parameters, reference: reference.storage, ranges: stage.optimised, adding: shards[0].storage)
      loss.add(penalty.name, value)
    }
    optimiser.step(parameters, shards[0].storage, learningRate: learningRate, workers)
    encoderPass.updateBuffers(parameters)
    if let target {
      for range in stage.ranges {
        Elementwise.blend(parameters[range], into: target.storage[range], keeping: options.momentum)
      }
    }
    return loss
  }

  private func pooled(_ images: Minibatch) -> PooledBatch {
    PooledBatch(
      pooled: work[memory.pooled], gradients: work[memory.gradients],
      branches: memory.branches.map { branch, pooled in
        PooledBranch(
          branch: branch, parameters: branch == .target ? target ?? reference : reference,
          pooled: work[pooled])
      },
      headGradients: headGradients, images: images)
  }

  private func sumGradients() {
    for shard in shards.dropFirst() {
      for range in stage.blockRanges { Elementwise.add(shard.storage[range], to: shards[0].storage[range]) }
    }
    for view in headGradients.dropFirst() {
      Elementwise.add(view.storage.all, to: shards[0].storage[stage.headRange])
    }
  }

  /// The gradients of the last step; frozen parameters have none, and asking for them traps.
  package func gradient(_ slot: Slot) -> Matrix { shards[0].storage[slot] }

  /// What the last step's batch tells about collapse; nil where the objective cannot collapse, or where the batch holds a
  /// number that is not finite.
  package var monitors: CollapseMonitors? { memory.objective.monitors(work) }
}

/// The memory of a batch behind the encoder: what its last block leaves, and what the objective needs.
struct BatchMemory: Sendable {
  private(set) var layout = Layout(alignment: 16)
  /// Pooled features and their gradients [V·B, F].
  let pooled, gradients: Slot
  /// Those of the branches beside the online one.
  let branches: [(branch: Branch, pooled: Slot)]
  let objective: any ObjectiveStep

  init(_ stage: Stage, _ options: TrainingOptions) {
    let (encoder, objective) = (stage.model.encoder, stage.model.objective)
    let (rows, width) = (objective.views * options.batch, encoder.pooledWidth)
    pooled = layout.add("pooled", rows, width)
    gradients = layout.add("pooled gradients", rows, width)
    var branches: [(branch: Branch, pooled: Slot)] = []
    for branch in options.branches(of: objective) {
      branches.append((branch, layout.add("\(branch) pooled", rows, width)))
    }
    self.branches = branches
    self.objective = objective.makeStep(
      encoder, options, penalties: options.representationPenalties, in: &layout)
  }
}

extension PassSettings {
  /// A stage's images in the views of its objective.
  init(_ stage: Stage, _ options: TrainingOptions, lastBlock: LastBlock) {
    let views = stage.model.objective.views
    let rows = views * options.batch
    // Whole chunks, at most the batch's.
    let kept = options.slice.map { min(($0 + options.chunk - 1) / options.chunk * options.chunk, rows) }
    self.init(
      prefix: stage.prefixDepth, trainedBlocks: Set(stage.trainedBlocks), trainsStem: stage.trainsStem,
      views: views, batch: options.batch, chunk: options.chunk, keptRows: kept ?? rows, lastBlock: lastBlock,
      branchPenalties: options.branchPenalties)
  }
}

/// When weights are no model any more, but what a training left behind that diverged.
///
/// A weight may grow ten-thousandfold in a round, counted from the largest one before it, and from 1 where all of them
/// are smaller. AdamW moves a weight by about the learning rate a step, so that no training that learns comes near it.
/// And with ordinary weights times 10,000 a forward pass stays in float32: between two normalisations stand
/// three factors, a gain and two matrices, whose square is 10^24 times the usual, and float32 has 10^38. So whatever passes,
/// the next round can train from it.
package enum Divergence {
  /// How many times the largest weight before, or 1, a weight may be.
  package static let mostGrowth: Float = 10_000

  /// Whether weights whose largest magnitude is `largest` are past it, after weights whose largest is `before`. What is
  /// no finite number always is.
  package static func isReached(_ largest: Float, after before: Float) -> Bool {
    !(largest.isFinite && largest <= mostGrowth * max(before, 1))
  }
}

extension Trainer {
  /// Whether what trains has diverged since ``begin()``.
  package var hasDiverged: Bool {
    Divergence.isReached(
      stage.ranges.reduce(0) { Elementwise.larger($0, Elementwise.largestMagnitude(parameters[$1])) },
      after: Elementwise.largestMagnitude(reference.storage.all))
  }
}
