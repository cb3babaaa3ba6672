/// Trains one stage of an encoder on two views of each image: the method itself.
///
/// B images a step in two views, 2B rows: row v·B + i is view v of image i. T tokens, D = width,
/// P = projection.
///
/// A chunk of images goes through the frozen prefix once; from its output the reference branch (the global
/// model as received) and the online branch part. Behind the class tokens the whole batch is compared.
/// The result does not depend on the number of workers, to the bit: gradients are summed in a fixed number
/// of lanes, each over its own chunks in order.
package final class Trainer {
  package let stage: Stage
  package let options: TrainingOptions
  /// The whole model's parameters; a trainer changes those of `stage.range` alone.
  package let parameters: Storage
  /// What trains, as it was received: the reference of alignment and of the proximal term.
  let reference: Storage
  /// Lane 0 has room for everything that trains, and ends up with the sum; the others for blocks alone.
  let lanes: [StorageBox]
  /// The second view's gradient of norm and heads.
  let secondView: Storage
  private var optimiser: AdamW
  let batchPlan: BatchPlan
  let batch: Storage
  let memories: [WorkerMemory]
  /// The last block, where the class token's path is taken through it.
  let lastBlock: ClassTokenBlock?
  let workers: Workers
  /// Whether the step under way is given the prefix's outputs.
  var givesTokens = false

  static let laneCount = 4

  /// Allocates everything that training needs; fill `parameters` and call ``begin()``.
  package init(_ stage: Stage, _ options: TrainingOptions, workers: Workers) {
    precondition(options.batch >= 2, "a batch of \(options.batch): contrast needs two images")
    self.stage = stage
    self.options = options
    self.workers = workers
    parameters = Storage(stage.model.layout)
    reference = Storage(stage.range)
    lanes = (0..<Self.laneCount).map { StorageBox($0 == 0 ? stage.range : stage.blockRange) }
    secondView = Storage(stage.headRange)
    optimiser = AdamW(stage.range, weightDecay: options.weightDecay)
    lastBlock = options.fullLastBlock ? nil : stage.model.encoder.blocks.last.map { ClassTokenBlock($0) }
    batchPlan = BatchPlan(stage, options)
    batch = Storage(batchPlan.layout)
    let plan = WorkerMemory.Plan(chunk: options.chunk, stage.model.encoder.configuration)
    memories = (0..<workers.count).map { _ in WorkerMemory(plan) }
  }

  /// Takes the parameters as they are now as the global model as received.
  package func begin() { reference.copy(stage.range, from: parameters) }

  /// The gradients of the last step; frozen parameters have none, and asking for them traps.
  package func gradient(_ slot: Slot) -> Matrix { lanes[0].storage[slot] }

  /// One optimiser step on B images; `write(view, image, worker, pixels)` gives view 0 or 1 of image
  /// 0 ..< B as [C, H, W], or, with `tokens`, as the frozen prefix's output [T, D]. Returns the loss before
  /// the step.
  package func step(
    learningRate: Float, tokens: Bool = false, _ write: (Int, Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Float {
    precondition(!tokens || !stage.trainsStem, "without a frozen prefix there are images alone")
    givesTokens = tokens
    for lane in lanes { lane.storage.clear() }
    secondView.clear()
    var loss: Float
    if slices.count == 1 {
      workers.run(chunks.count) { chunk, worker in encode(chunk, worker, keeping: slices[0], write) }
      loss = compare()
      backpropagate(slices[0])
    } else {
      // What the loss needs of the encoder is the class tokens; the rest is computed again, slice by slice.
      workers.run(chunks.count) { chunk, worker in encode(chunk, worker, keeping: nil, write) }
      loss = compare()
      for slice in slices {
        workers.run(slice.count) { task, worker in
          encode(slice.lowerBound + task, worker, keeping: slice, write)
        }
        backpropagate(slice)
      }
    }
    for lane in lanes.dropFirst() {
      Elementwise.add(lane.storage[stage.blockRange], to: lanes[0].storage[stage.blockRange])
    }
    loss += addProximalTerm()
    optimiser.step(parameters, lanes[0].storage, learningRate: learningRate, workers)
    return loss
  }
}
