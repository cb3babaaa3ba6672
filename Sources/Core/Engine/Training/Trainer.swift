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
  private let reference: Storage
  /// Lane 0 has room for everything that trains, and ends up with the sum; the others for blocks alone.
  private let lanes: [StorageBox]
  /// The second view's gradient of norm and heads.
  private let secondView: Storage
  private var optimiser: AdamW
  private let batchPlan: BatchPlan
  private let batch: Storage
  private let memories: [WorkerMemory]
  /// The last block, where the class token's path is taken through it.
  private let lastBlock: ClassTokenBlock?
  let workers: Workers

  private static let laneCount = 4

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
  /// 0 ..< B as [C, H, W]. Returns the loss before the step.
  package func step(
    learningRate: Float, _ write: (Int, Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Float {
    for lane in lanes { lane.storage.clear() }
    secondView.clear()
    workers.run(chunks) { chunk, worker in encode(images(of: chunk), worker, write) }
    var loss = compare()
    workers.run(Self.laneCount) { lane, worker in
      for chunk in stride(from: lane, to: chunks, by: Self.laneCount) {
        backpropagate(images(of: chunk), memories[worker], lanes[lane].storage)
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

// MARK: - The encoder, a chunk of images at a time

extension Trainer {
  private var rows: Int { 2 * options.batch }
  private var chunks: Int { (rows + options.chunk - 1) / options.chunk }

  /// The rows of the batch that a chunk covers.
  private func images(of chunk: Int) -> Range<Int> {
    chunk * options.chunk..<min((chunk + 1) * options.chunk, rows)
  }

  private func encode(
    _ images: Range<Int>, _ worker: Int, _ write: (Int, Int, Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let (encoder, memory) = (stage.model.encoder, memories[worker])
    let (frozen, scratch) = (memory.frozenTrace(images.count), memory.scratch(images.count))
    let patches = patches(images) ?? memory.patches(images.count)
    memory.cut(images, into: patches, encoder.stem) { row, pixels in
      write(row / options.batch, row % options.batch, worker, pixels)
    }
    // The prefix, shared by the local and the global model.
    let x = memory.tokens(images.count)
    FrozenPrefix(encoder: encoder, depth: stage.trainedBlocks.lowerBound)
      .forward(patches, into: x, frozen, scratch, parameters)
    if let branch = batchPlan.reference {
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
      block.forward(x, plan.trace(batch, images: images), scratch, parameters)
    }
    if let lastBlock, let plan = batchPlan.last {
      lastBlock.forward(x, into: tokens, plan.trace(batch, images: images), scratch, parameters)
    } else {
      Elementwise.copy(classTokens(x), to: tokens)
    }
  }

  private func backpropagate(
    _ images: Range<Int>, _ memory: WorkerMemory, _ gradients: borrowing Storage
  ) {
    let (encoder, first) = (stage.model.encoder, stage.trainedBlocks.lowerBound)
    let scratch = memory.scratch(images.count)
    let dx = memory.gradient(images.count)
    let d = batch[batchPlan.tokenGradients].rows(images)
    if let lastBlock, let plan = batchPlan.last {
      let needsInput = !fullBlocks.isEmpty || stage.trainsStem
      lastBlock.backward(
        d, into: needsInput ? dx : nil, plan.trace(batch, images: images),
        gradient: memory.lastTrace(images.count), scratch, parameters, gradients)
    } else {
      Elementwise.fill(dx, 0)
      Elementwise.copy(d, to: classTokens(dx))
    }
    for index in fullBlocks.reversed() {
      encoder.blocks[index].backward(
        dx, batchPlan.blocks[index - first].trace(batch, images: images), scratch,
        throughInput: index > first || stage.trainsStem, parameters, gradients)
    }
    if let patches = patches(images) { encoder.stem.backward(dx, patches: patches, parameters, gradients) }
  }

  /// The trained blocks that run in full.
  private var fullBlocks: Range<Int> {
    stage.trainedBlocks.lowerBound..<stage.trainedBlocks.upperBound - (lastBlock == nil ? 0 : 1)
  }

  /// The batch's patches of some images, where the stem trains.
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

// MARK: - The whole batch, behind the class tokens

extension Trainer {
  /// Heads and losses, and back to the gradients of the class tokens. Each view is a worker's, since batch
  /// statistics are of one view at a time.
  private func compare() -> Float {
    let plan = batchPlan
    if let branch = plan.reference {
      workers.run(2) { view, _ in project(branch.tokens, view, into: branch.projections, reference) }
    }
    workers.run(2) { view, _ in project(plan.tokens, view, into: plan.projections, parameters) }
    let (z, dz) = (batch[plan.projections], batch[plan.projectionGradients])
    Elementwise.fill(dz, 0)
    var loss = plan.contrast.loss(z, adding: dz, temperature: options.temperature, batch)
    if let branch = plan.reference {
      let g = batch[branch.projections]
      for view in 0..<2 {
        let rows = rows(of: view)
        loss +=
          options.alignment
          * branch.alignment.loss(
            z.rows(rows), g.rows(rows), adding: dz.rows(rows), temperature: options.temperature,
            weight: options.alignment, batch)
      }
    }
    workers.run(2) { view, _ in
      if view == 0 {
        backproject(view, lanes[0].storage)
      } else {
        backproject(view, secondView)
      }
    }
    Elementwise.add(secondView.all, to: lanes[0].storage[stage.headRange])
    return loss
  }

  private func rows(of view: Int) -> Range<Int> { view * options.batch..<(view + 1) * options.batch }

  /// z = H(norm(class tokens)) of one view.
  private func project(_ tokens: Slot, _ view: Int, into projections: Slot, _ weights: borrowing Storage) {
    let (model, rows) = (stage.model, rows(of: view))
    let representations = batch[batchPlan.representations].rows(rows)
    let trace = batchPlan.heads[view].trace(batch)
    model.encoder.norm.forward(
      batch[tokens].rows(rows), into: representations, batchPlan.norm.trace(batch, rows: rows), weights)
    model.projector.forward(representations, trace, weights)
    Elementwise.copy(trace.output, to: batch[projections].rows(rows))
  }

  /// From the gradient of one view's projections to that of its class tokens.
  private func backproject(_ view: Int, _ gradients: borrowing Storage) {
    let (model, rows) = (stage.model, rows(of: view))
    let d = batch[batchPlan.representationGradients].rows(rows)
    let tokenGradients = batch[batchPlan.tokenGradients].rows(rows)
    model.projector.backward(
      batch[batchPlan.projectionGradients].rows(rows), input: batch[batchPlan.representations].rows(rows),
      into: d, batchPlan.heads[view].trace(batch), parameters, gradients)
    Elementwise.fill(tokenGradients, 0)
    model.encoder.norm.backward(
      d, batchPlan.norm.trace(batch, rows: rows), adding: tokenGradients, parameters, gradients)
  }

  /// ρ / 2 ‖w - w_global‖², its gradient added to that of what trains (FedProx, arXiv 1812.06127).
  private func addProximalTerm() -> Float {
    guard options.proximal != 0 else { return 0 }
    let (w, origin) = (parameters[stage.range].start, reference[stage.range].start)
    let gradient = lanes[0].storage[stage.range].start
    var square: Double = 0
    for index in 0..<stage.range.count {
      let difference = w[index] - origin[index]
      square += Double(difference * difference)
      gradient[index] += options.proximal * difference
    }
    return options.proximal / 2 * Float(square)
  }
}
