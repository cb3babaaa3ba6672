/// Trains one stage of an encoder: the implementation of the method.
///
/// B images per step in V views, V·B rows: row v·B + i is view v of image i. F = pooled width.
///
/// A chunk of rows passes the frozen prefix once. Its output is the input of the online branch and, if they exist, of
/// the reference branch (the received global model) and the target branch (a moving average). The objective processes
/// the encoder's output for the whole batch. The result is bit-identical for any number of workers: gradients are
/// summed in a fixed number of shards, each over its own chunks in order.
package final class Trainer {
  package let stage: Stage
  package let options: TrainingOptions
  /// The parameters of the whole model; a trainer only changes those of the stage's parts.
  package let parameters: Storage
  /// The trained parameters as received.
  let reference: StorageBox
  /// The target branch's copy of the trained parameters, if the objective has one.
  private let target: StorageBox?
  /// The gradient shards. The first contains all trained parameters and receives the sum; the others contain only
  /// blocks.
  private let shards: [StorageBox]
  /// The gradients of readout and heads, one per view or shard of the objective; the first of them is in the first shard.
  private let headGradients: [StorageBox]
  private let optimiser: any Optimiser
  private let encoderPass: any EncoderPass
  /// The pass of the local views, if there are any.
  private let localPass: (any EncoderPass)?
  private let memory: BatchMemory
  private let work: Storage
  private let weightPenalties: [any WeightPenalty]
  let workers: Workers

  static let shardCount = 4

  /// Allocates all memory for training; the caller then sets `parameters` and calls ``begin()``.
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
    precondition(
      options.localViews == nil || objective.takesLocalViews, "local views of \(type(of: objective))")
    headGradients = (0..<objective.headShards + (options.localViews?.count ?? 0)).map {
      $0 == 0 ? shards[0] : StorageBox(stage.headRange)
    }
    optimiser = options.makeOptimiser(stage)
    encoderPass = stage.model.encoder.makePass(
      PassSettings(stage, options, lastBlock: lastBlock), workers: workers)
    localPass = options.localEncoder(stage.model.encoder)?.makePass(
      PassSettings(stage, options, lastBlock: lastBlock, ofLocalViews: true), workers: workers)
    memory = BatchMemory(stage, options)
    work = Storage(memory.layout)
    weightPenalties = options.weightPenalties
  }

  /// Takes the current parameters as the received global model, and initialises the target branch with them.
  package func begin() {
    reference.storage.copy(from: parameters)
    target?.storage.copy(from: parameters)
  }

  /// Performs one optimiser step. Returns the loss before it.
  package func step(learningRate: Float, _ images: Minibatch) -> LossTerms {
    precondition(images.count == options.batch, "\(images.count) images for a batch of \(options.batch)")
    for gradients in shards + headGradients.dropFirst() { gradients.storage.clear() }
    var images = images
    images.copy = memory.inputs.map { work[$0] }
    if let shown = memory.shown { images.show(shown.count, of: shown.patches, in: work[shown.places]) }
    let batch = pooled(images)
    encoderPass.forward(parameters, images, into: batch.pooled, branches: batch.branches)
    // The memory for inputs is that of the other views.
    var localImages = images
    localImages.copy = nil
    if let local = batch.local.first {
      localPass?.forward(parameters, localImages, into: local.pooled, branches: [])
    }
    var loss = memory.objective.run(batch, parameters, work, workers)
    if !stage.blockRanges.isEmpty {
      loss.add(
        encoderPass.backward(batch.gradients, parameters, images, pooled: batch.pooled, into: shards))
      if let local = batch.local.first {
        localPass?.backward(local.gradients, parameters, localImages, pooled: local.pooled, into: shards)
      }
    }
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
      headGradients: headGradients, images: images, inputs: images.copy,
      local: memory.local.map { pooled, gradients in
        [
          PooledBatch(
            pooled: work[pooled], gradients: work[gradients], branches: [],
            headGradients: Array(headGradients[stage.model.objective.headShards...]), images: images,
            inputs: nil, local: [])
        ]
      } ?? [])
  }

  private func sumGradients() {
    for shard in shards.dropFirst() {
      for range in stage.blockRanges { Elementwise.add(shard.storage[range], to: shards[0].storage[range]) }
    }
    for view in headGradients.dropFirst() {
      Elementwise.add(view.storage.all, to: shards[0].storage[stage.headRange])
    }
  }

  /// Returns the gradient of the last step; traps for frozen parameters, which have none.
  package func gradient(_ slot: Slot) -> Matrix { shards[0].storage[slot] }

  /// The collapse monitors of the last step's batch; nil if the objective cannot collapse, or if the batch contains a
  /// non-finite value.
  package var monitors: CollapseMonitors? { memory.objective.monitors(work) }
}

/// The memory of a batch after the encoder: the pooled features, and the memory of the objective.
struct BatchMemory: Sendable {
  private(set) var layout = Layout(alignment: 16)
  /// The pooled features and their gradients [V·B, F].
  let pooled, gradients: Slot
  /// The pooled features of the reference and target branches.
  let branches: [(branch: Branch, pooled: Slot)]
  /// The inputs of the network, if the objective or a penalty needs them.
  let inputs: Slot?
  /// The pooled features of local views and their gradients [N·B, F], if there are any.
  let local: (pooled: Slot, gradients: Slot)?
  /// The numbers of the shown patches of each image, if only some are.
  let shown: (places: NumberSlot<Int32>, count: Int, patches: Int)?
  let objective: any ObjectiveStep

  init(_ stage: Stage, _ options: TrainingOptions) {
    let (encoder, objective) = (stage.model.encoder, stage.model.objective)
    let rows = objective.views * options.batch
    let width = objective.shownPatches.map { ($0 + 1) * encoder.output } ?? encoder.pooledWidth
    pooled = layout.add("pooled", rows, width)
    gradients = layout.add("pooled gradients", rows, width)
    var branches: [(branch: Branch, pooled: Slot)] = []
    for branch in options.branches(of: objective) {
      branches.append((branch, layout.add("\(branch) pooled", rows, width)))
    }
    self.branches = branches
    inputs =
      objective.needsImages || options.featurePenalties.contains { $0.needsInputs }
      ? layout.add("inputs", rows, encoder.inputCount) : nil
    if let views = options.localViews {
      local = (
        layout.add("local pooled", views.count * options.batch, encoder.pooledWidth),
        layout.add("local pooled gradients", views.count * options.batch, encoder.pooledWidth)
      )
    } else {
      local = nil
    }
    if let count = objective.shownPatches, let transformer = encoder as? VisionTransformer {
      shown = (layout.addNumbers("shown patches", rows * count), count, transformer.shape.patches)
    } else {
      shown = nil
    }
    self.objective = objective.makeStep(
      encoder, options, penalties: options.representationPenalties, in: &layout)
  }
}

extension PassSettings {
  /// Creates the settings for a stage's images in the views of its objective.
  init(_ stage: Stage, _ options: TrainingOptions, lastBlock: LastBlock, ofLocalViews isLocal: Bool = false) {
    let global = stage.model.objective.views
    let views = isLocal ? options.localViews?.count ?? 0 : global
    let rows = views * options.batch
    // A whole number of chunks, at most the batch.
    let kept = options.slice.map { min(($0 + options.chunk - 1) / options.chunk * options.chunk, rows) }
    self.init(
      prefix: stage.prefixDepth, trainedBlocks: Set(stage.trainedBlocks), trainsStem: stage.trainsStem,
      views: views, batch: options.batch, chunk: options.chunk, keptRows: kept ?? rows, nodes: options.nodes,
      fanouts: options.fanouts, hops: stage.model.objective.hops,
      shownPatches: stage.model.objective.shownPatches,
      firstView: isLocal ? global : 0, lastBlock: lastBlock,
      branchPenalties: isLocal ? [] : options.branchPenalties)
  }
}

extension TrainingOptions {
  /// Returns the encoder of local views with the parameters of another; nil without local views.
  func localEncoder(_ encoder: any Encoder) -> (any Encoder)? {
    guard let localViews else { return nil }
    guard let local = encoder.cropped(to: localViews.size) else {
      preconditionFailure("local views of \(type(of: encoder))")
    }
    return local
  }
}

/// Detects weights of a training that diverged.
///
/// In a round, a weight may grow to 10,000 times the largest weight before it, or to 10,000 if all were below 1. AdamW
/// changes a weight by about the learning rate per step, so regular training stays far below this limit. Below it, a
/// forward pass stays within float32: three factors lie between two normalisations, a gain and two matrices, and the
/// square of their product grows by at most 10^24, while float32 reaches 10^38. So the next round can train from any
/// accepted weights.
/// the next round can train from it.
package enum Divergence {
  /// The maximum ratio of a weight to the largest weight before, or to 1.
  package static let mostGrowth: Float = 10_000

  /// Returns whether weights with the largest magnitude `largest` have diverged from weights with the largest magnitude
  /// `before`. Non-finite values always count as diverged.
  package static func isReached(_ largest: Float, after before: Float) -> Bool {
    !(largest.isFinite && largest <= mostGrowth * max(before, 1))
  }
}

extension Trainer {
  /// Whether the trained parameters have diverged since ``begin()``.
  package var hasDiverged: Bool {
    Divergence.isReached(
      stage.ranges.reduce(0) { Elementwise.larger($0, Elementwise.largestMagnitude(parameters[$1])) },
      after: Elementwise.largestMagnitude(reference.storage.all))
  }
}
