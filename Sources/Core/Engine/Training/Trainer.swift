/// Trains one stage of an encoder on two views of each image: the method itself.
///
/// B images a step in two views, 2B rows: row v·B + i is view v of image i. F = pooled width, D = width of a
/// representation, P = projection.
///
/// A chunk of images goes through the frozen prefix once; from its output the online branch parts, and with it
/// the reference branch (the global model as received) and the target branch (a moving average), where there
/// are such. Behind the encoder the whole batch is compared. The result does not depend on the number of
/// workers, to the bit: gradients are summed in a fixed number of lanes, each over its own chunks in order.
package final class Trainer {
  package let stage: Stage
  package let options: TrainingOptions
  /// The whole model's parameters; a trainer changes those of `stage.range` alone.
  package let parameters: Storage
  /// What trains, as it was received: the reference of alignment and of the proximal term.
  let reference: StorageBox
  /// The target branch's copy of what trains, where the loss has one.
  let target: StorageBox?
  /// Lane 0 has room for everything that trains, and ends up with the sum; the others for blocks alone.
  let lanes: [StorageBox]
  /// The second view's gradient of readout and heads.
  let secondView: StorageBox
  private var optimiser: AdamW
  private let encoderPass: any EncoderPass
  let batchPlan: BatchPlan
  let batch: Storage
  let workers: Workers

  static let laneCount = 4

  /// Allocates everything that training needs; fill `parameters` and call ``begin()``.
  package init(_ stage: Stage, _ options: TrainingOptions, workers: Workers) {
    precondition(options.batch >= 2, "a batch of \(options.batch): contrast needs two images")
    self.stage = stage
    self.options = options
    self.workers = workers
    parameters = Storage(stage.model.layout)
    reference = StorageBox(stage.range)
    target = options.ssl.predicts ? StorageBox(stage.range) : nil
    lanes = (0..<Self.laneCount).map { StorageBox($0 == 0 ? stage.range : stage.blockRange) }
    secondView = StorageBox(stage.headRange)
    optimiser = AdamW(stage.range, moving: stage.optimised, weightDecay: options.weightDecay)
    encoderPass = stage.model.encoder.makePass(PassSettings(stage, options), workers: workers)
    batchPlan = BatchPlan(stage, options)
    batch = Storage(batchPlan.layout)
  }

  /// Takes the parameters as they are now as the global model as received; the target branch starts there.
  package func begin() {
    reference.storage.copy(stage.range, from: parameters)
    target?.storage.copy(stage.range, from: parameters)
  }

  /// The gradients of the last step; frozen parameters have none, and asking for them traps.
  package func gradient(_ slot: Slot) -> Matrix { lanes[0].storage[slot] }

  /// One optimiser step on B images; `write(view, image, worker, pixels)` gives view 0 or 1 of image
  /// 0 ..< B as [C, H, W], or, with `features`, what the frozen prefix makes of it. Returns the loss before
  /// the step.
  package func step(learningRate: Float, features: Bool = false, _ write: ViewWriter) -> Float {
    precondition(!features || !stage.trainsStem, "without a frozen prefix there are images alone")
    for lane in lanes { lane.storage.clear() }
    secondView.storage.clear()
    let (pooled, d) = (batch[batchPlan.pooled], batch[batchPlan.pooledGradients])
    encoderPass.forward(parameters, into: pooled, branches: branches, features: features, write)
    var loss = compare()
    encoderPass.backward(d, parameters, pooled: pooled, into: lanes, features: features, write)
    for lane in lanes.dropFirst() {
      Elementwise.add(lane.storage[stage.blockRange], to: lanes[0].storage[stage.blockRange])
    }
    loss += addProximalTerm()
    optimiser.step(parameters, lanes[0].storage, learningRate: learningRate, workers)
    encoderPass.updateBuffers(parameters)
    if let target {
      Elementwise.blend(parameters[stage.range], into: target.storage.all, keeping: options.momentum)
    }
    return loss
  }

  /// What the last step's batch tells about collapse; nil where it holds a number that is not finite.
  package var monitors: CollapseMonitors? {
    CollapseMonitors(
      projections: batch[batchPlan.projections], representations: batch[batchPlan.representations])
  }

  /// The branches beside the online one.
  private var branches: [EncoderBranch] {
    var branches: [EncoderBranch] = []
    if let reference = batchPlan.reference {
      branches.append(
        EncoderBranch(parameters: self.reference, pooled: batch[reference.branch.pooled]))
    }
    if let target, case .prediction(let prediction) = batchPlan.objective {
      branches.append(EncoderBranch(parameters: target, pooled: batch[prediction.target.pooled]))
    }
    return branches
  }
}

extension PassSettings {
  /// Two views of each image through a stage.
  init(_ stage: Stage, _ options: TrainingOptions) {
    self.init(
      trainedBlocks: stage.trainedBlocks, trainsStem: stage.trainsStem, views: 2, batch: options.batch,
      chunk: options.chunk, keptRows: options.keptRows, fullLastBlock: options.fullLastBlock)
  }
}
