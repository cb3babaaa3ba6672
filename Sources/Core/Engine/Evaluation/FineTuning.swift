/// An encoder becomes a classifier: a linear layer on its representations, and all of it trained with labels.
///
/// B images a step, F = pooled width, D = width of a representation, C classes. The result does not depend on
/// the number of workers, to the bit: as in a ``Trainer``, gradients are summed in a fixed number of lanes.
package final class FineTuning {
  package let options: FineTuningOptions
  package let encoder: any Encoder
  /// The encoder's parameters, then the linear layer's under timm's names, `head.weight` and `head.bias`.
  package let layout: Layout
  package let encoderRange: Range<Int>
  package let parameters: Storage
  let head: Linear
  let workers: Workers
  /// Lane 0 ends up with the sum.
  private let lanes: [StorageBox]
  private var optimiser: AdamW
  private let encoderPass: any EncoderPass
  private let plan: Plan
  private let work: Storage

  /// The memory of a batch behind the encoder.
  private struct Plan {
    private(set) var layout = Layout(alignment: 16)
    /// What the encoder's last block leaves, and its gradients [B, F].
    let pooled, pooledGradients: Slot
    let readout: Readout.TracePlan
    /// Representations and their gradients [B, D].
    let representations, representationGradients: Slot
    /// Logits, which become their gradients [B, C].
    let logits: Slot

    init(_ encoder: any Encoder, batch: Int, classes: Int) {
      let width = encoder.configuration.output
      pooled = layout.add("pooled", batch, encoder.pooledWidth)
      pooledGradients = layout.add("pooled gradients", batch, encoder.pooledWidth)
      readout = encoder.readout.tracePlan(rows: batch, width: width, in: &layout)
      representations = layout.add("representations", batch, width)
      representationGradients = layout.add("representation gradients", batch, width)
      logits = layout.add("logits", batch, classes)
    }
  }

  /// Allocates everything and draws the linear layer as timm does its others, from a normal distribution of
  /// deviation 0.02, biases 0; fill the encoder's parameters.
  package init(
    _ configuration: EncoderConfiguration, classes: Int, _ options: FineTuningOptions, seed: UInt64,
    workers: Workers
  ) {
    precondition(classes > 0, "\(classes) classes")
    (self.options, self.workers) = (options, workers)
    var layout = Layout()
    let encoder = configuration.makeEncoder(blocks: Array(0..<configuration.depth), in: &layout)
    encoderRange = layout.range
    layout.part = "head"
    head = Linear("head", inputs: configuration.output, outputs: classes, in: &layout)
    (self.encoder, self.layout) = (encoder, layout)
    parameters = Storage(layout)
    let weights = parameters[head.weight].flat
    var random = RandomNumbers(seed, "parameter head.weight")
    for index in 0..<weights.count { weights[0, index] = 0.02 * random.normal() }
    lanes = (0..<Trainer.laneCount).map { _ in StorageBox(layout.range) }
    optimiser = AdamW(
      layout.range, moving: layout.optimised(layout.range), weightDecay: options.weightDecay)
    encoderPass = encoder.makePass(
      PassSettings(
        trainedBlocks: 0..<configuration.depth, trainsStem: true, views: 1, batch: options.batch,
        chunk: options.chunk, keptRows: options.batch), workers: workers)
    plan = Plan(encoder, batch: options.batch, classes: classes)
    work = Storage(plan.layout)
  }

  /// The gradients of the last step.
  package func gradient(_ slot: Slot) -> Matrix { lanes[0].storage[slot] }

  /// One optimiser step on B images with these classes; `write` gives view 0 of each. Returns the loss before
  /// the step.
  package func step(learningRate: Float, label: (Int) -> Int, _ write: ViewWriter) -> Float {
    for lane in lanes { lane.storage.clear() }
    let gradients = lanes[0]
    let (pooled, dPooled) = (work[plan.pooled], work[plan.pooledGradients])
    let (y, dy) = (work[plan.representations], work[plan.representationGradients])
    let (logits, rows) = (work[plan.logits], 0..<options.batch)
    encoderPass.forward(parameters, into: pooled, branches: [], features: false, write)
    encoder.readout.forward(pooled, into: y, plan.readout, rows: rows, work, parameters)
    head.forward(y, into: logits, parameters)
    let loss = CrossEntropy.loss(logits, label: label)
    head.backward(logits, input: y, into: dy, parameters, gradients.storage)
    encoder.readout.backward(
      dy, input: pooled, into: dPooled, plan.readout, rows: rows, work, parameters, gradients.storage)
    encoderPass.backward(dPooled, parameters, pooled: pooled, into: lanes, features: false, write)
    for lane in lanes.dropFirst() { Elementwise.add(lane.storage.all, to: gradients.storage.all) }
    optimiser.step(parameters, gradients.storage, learningRate: learningRate, workers)
    encoderPass.updateBuffers(parameters)
    return loss
  }
}
