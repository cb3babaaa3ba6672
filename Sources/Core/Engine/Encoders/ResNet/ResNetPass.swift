/// The part of a ResNet in a training step. Its normalisations need all images of a view, so the batch is processed one
/// convolution at a time; the frozen prefix, with running statistics, is processed in chunks.
package final class ResNetPass {
  private let encoder: ResNet
  private let settings: PassSettings
  private let plan: Plan
  private let memory: Storage
  private let runners: [ResNetRunner]
  private let workers: Workers
  private let noGradients = (0..<Trainer.shardCount).map { _ in StorageBox([]) }
  private let keepsInputGradient: Bool
  /// The order in which the forward pass takes the chunks of images.
  private let order: [Int]
  /// The gradient of the frozen prefix's output [rows, C·h·h] after a backward pass; nil unless it is kept.
  package private(set) var inputGradient: Matrix?

  /// - Parameter keepsInputGradient: whether a backward pass goes on to the output of the frozen prefix. Training does
  ///   not need it, and it does not exist below a stem that trains.
  package init(
    _ encoder: ResNet, _ settings: PassSettings, workers: Workers, keepsInputGradient: Bool = false
  ) {
    precondition(!keepsInputGradient || !settings.trainsStem, "images have no gradient")
    (self.encoder, self.settings, self.workers) = (encoder, settings, workers)
    self.keepsInputGradient = keepsInputGradient
    order = settings.chunksByImage
    plan = Plan(encoder, settings)
    memory = Storage(plan.layout)
    runners = (0..<workers.count).map { _ in ResNetRunner(encoder, chunk: settings.chunk) }
  }

  private func views(_ x: Matrix, _ view: Int) -> Matrix {
    x.rows(view * settings.batch..<(view + 1) * settings.batch)
  }

  /// Calls `body` with the rows of each chunk, distributed among the workers, in the order that suits the images.
  private func eachChunkOfImages(_ body: (Range<Int>, Int) -> Void) {
    workers.run(order.count) { task, worker in
      let first = order[task] * settings.chunk
      body(first..<min(first + settings.chunk, settings.rows), worker)
    }
  }

  /// Calls `body` with ranges of rows of the batch, distributed among the workers.
  private func eachChunk(of size: Int, _ body: (Range<Int>, Int) -> Void) {
    workers.run((settings.rows + size - 1) / size) { task, worker in
      body(task * size..<min((task + 1) * size, settings.rows), worker)
    }
  }
}

// MARK: - Forward

extension ResNetPass: EncoderPass {
  package func forward(
    _ parameters: borrowing Storage, _ images: Minibatch, into pooled: Matrix, branches: [PooledBranch]
  ) {
    let input = memory[plan.input]
    let depth = settings.prefix
    eachChunkOfImages { rows, worker in
      func give(_ row: Int, _ place: UnsafeMutablePointer<Float>) {
        images.write(
          view: row / settings.batch, image: row % settings.batch, worker: worker, into: place)
      }
      guard !settings.trainsStem && !images.givesFeatures else {
        for row in settings.writingOrder(rows) { give(row, input.row(row)) }
        return
      }
      let runner = runners[worker]
      runner.begin(rows.count, parameters) { give(rows.lowerBound + $0, $1) }
      runner.advance(rows.count, from: 0, to: depth, parameters)
      Elementwise.copy(runner.features(rows.count, behind: depth), to: input.rows(rows))
    }
    // The traces of branches are not needed, so all branches use the memory of the online branch, which runs last.
    for branch in branches {
      advance(branch.parameters.storage, frozen: parameters, into: branch.pooled)
    }
    advance(parameters, frozen: parameters, into: pooled)
  }

  /// Computes everything above the prefix for the batch, with the parameters `trained` for trained layers and `frozen`
  /// for the others.
  ///
  /// Frozen layers above the prefix also normalise with the batch's statistics, because their inputs change during
  /// training; their running statistics do not change.
  private func advance(
    _ trained: borrowing Storage, frozen: borrowing Storage, into pooled: Matrix
  ) {
    var x = memory[plan.input]
    if let stem = plan.stem {
      let y = memory[stem.output]
      run(encoder.stem, stem.unit, x, into: y, trained)
      eachChunk(of: settings.chunk) { rows, _ in Elementwise.relu(y.rows(rows)) }
      x = y
    }
    for ((block, isTrained), trace) in zip(blocks, plan.blocks) {
      if isTrained { run(block, trace, x, trained) } else { run(block, trace, x, frozen) }
      x = memory[trace.output]
    }
    let pooling = encoder.pooling(behind: encoder.layers.count)
    eachChunk(of: settings.chunk) { rows, _ in pooling.forward(x.rows(rows), into: pooled.rows(rows)) }
  }

  /// The residual blocks above the prefix, and whether each is trained.
  private var blocks: [(block: BasicBlock, isTrained: Bool)] {
    (settings.prefix..<encoder.layers.count).flatMap { layer in
      encoder.layers[layer].map { ($0, settings.trainedBlocks.contains(layer)) }
    }
  }

  private func run(
    _ block: BasicBlock, _ trace: Plan.Block, _ x: Matrix, _ parameters: borrowing Storage
  ) {
    let (middle, y) = (memory[trace.middle], memory[trace.output])
    run(block.first, trace.first, x, into: middle, parameters)
    eachChunk(of: settings.chunk) { rows, _ in Elementwise.relu(middle.rows(rows)) }
    run(block.second, trace.second, middle, into: y, parameters)
    if let branch = trace.branch {
      eachChunk(of: settings.chunk) { rows, _ in
        Elementwise.copy(y.rows(rows), to: memory[branch].rows(rows))
      }
    }
    var added = x
    if let shortcut = block.shortcut, let unit = trace.shortcut {
      added = gradient(0, columns: block.outputSize)
      run(shortcut, unit, x, into: added, parameters)
    }
    eachChunk(of: settings.chunk) { rows, _ in
      Elementwise.add(added.rows(rows), to: y.rows(rows))
      Elementwise.relu(y.rows(rows))
    }
  }

  /// Computes convolution, statistics and normalisation; the convolution's output remains in the trace.
  private func run(
    _ unit: BasicBlock.Unit, _ trace: Plan.Unit, _ x: Matrix, into y: Matrix,
    _ parameters: borrowing Storage
  ) {
    let (output, norm) = (memory[trace.output], unit.norm)
    eachChunk(of: unit.convolution.group) { rows, worker in
      unit.convolution.forward(x.rows(rows), into: output.rows(rows), runners[worker].scratch, parameters)
    }
    workers.run(settings.views * norm.channels) { task, _ in
      let (view, channel) = (task / norm.channels, task % norm.channels)
      norm.measure(
        views(output, view), channel: channel, into: trace.statistics.statistics(memory, view: view))
    }
    for view in 0..<settings.views {
      norm.forward(
        views(output, view), into: views(y, view), trace.statistics.statistics(memory, view: view),
        parameters)
    }
  }

  // MARK: - Backward

  /// Returns one of the gradient buffers, with `columns` columns.
  private func gradient(_ index: Int, columns: Int) -> Matrix {
    memory[plan.gradients[index]].columns(0..<columns)
  }

  package func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ images: Minibatch, pooled: Matrix,
    into shards: [StorageBox]
  ) -> [LossTerms.Term] {
    penalties?.clear()
    var (dy, other) = (0, 1)
    let pooling = encoder.pooling(behind: encoder.layers.count)
    let top = gradient(dy, columns: encoder.featureSize(behind: encoder.layers.count))
    eachChunk(of: settings.chunk) { rows, _ in pooling.backward(d.rows(rows), into: top.rows(rows)) }
    let blocks = blocks
    for index in blocks.indices.reversed() {
      let below = index > 0 ? plan.blocks[index - 1].output : plan.stem?.output
      backpropagate(
        blocks[index].block, plan.blocks[index], memory[below ?? plan.input], from: dy, to: other,
        needsInput: below != nil || keepsInputGradient, parameters,
        blocks[index].isTrained ? shards : noGradients)
      swap(&dy, &other)
    }
    if keepsInputGradient {
      inputGradient = gradient(dy, columns: encoder.featureSize(behind: settings.prefix))
    }
    if let stem = plan.stem {
      backpropagate(stem, gradient(dy, columns: encoder.stem.convolution.outputSize), parameters, shards)
    }
    return penalties?.terms ?? []
  }

  private var penalties: BranchPenalties? { plan.penalties?.penalties(memory, rows: settings.rows) }

  /// Through the stem; d is the gradient of its output, which is overwritten.
  private func backpropagate(
    _ stem: (unit: Plan.Unit, output: Slot), _ d: Matrix, _ parameters: borrowing Storage,
    _ shards: [StorageBox]
  ) {
    let y = memory[stem.output]
    eachChunk(of: settings.chunk) { rows, _ in
      Elementwise.reluBackward(d.rows(rows), output: y.rows(rows))
    }
    backpropagate(encoder.stem, stem.unit, d, memory[plan.input], adding: nil, parameters, shards)
  }

  /// Computes the gradient of a block's input, in buffer `to`, from that of its output, in buffer `from`.
  private func backpropagate(
    _ block: BasicBlock, _ trace: Plan.Block, _ x: Matrix, from: Int, to: Int, needsInput: Bool,
    _ parameters: borrowing Storage, _ shards: [StorageBox]
  ) {
    let (d, copy) = (gradient(from, columns: block.outputSize), gradient(2, columns: block.outputSize))
    let middle = gradient(3, columns: block.first.convolution.outputSize)
    let dx = gradient(to, columns: block.inputSize)
    let (y, hidden) = (memory[trace.output], memory[trace.middle])
    eachChunk(of: settings.chunk) { rows, _ in
      Elementwise.reluBackward(d.rows(rows), output: y.rows(rows))
      Elementwise.copy(d.rows(rows), to: copy.rows(rows))
      if let branch = trace.branch {
        penalties?.apply(
          memory[branch].rows(rows), chunk: rows.lowerBound / settings.chunk, adding: copy.rows(rows))
      }
      Elementwise.fill(middle.rows(rows), 0)
      Elementwise.fill(dx.rows(rows), 0)
    }
    backpropagate(block.second, trace.second, copy, hidden, adding: middle, parameters, shards)
    eachChunk(of: settings.chunk) { rows, _ in
      Elementwise.reluBackward(middle.rows(rows), output: hidden.rows(rows))
    }
    backpropagate(
      block.first, trace.first, middle, x, adding: needsInput ? dx : nil, parameters, shards)
    if let shortcut = block.shortcut, let unit = trace.shortcut {
      backpropagate(shortcut, unit, d, x, adding: needsInput ? dx : nil, parameters, shards)
    } else if needsInput {
      eachChunk(of: settings.chunk) { rows, _ in Elementwise.add(d.rows(rows), to: dx.rows(rows)) }
    }
  }

  /// Computes the backward pass of normalisation and convolution; `dy` is overwritten.
  private func backpropagate(
    _ unit: BasicBlock.Unit, _ trace: Plan.Unit, _ dy: Matrix, _ x: Matrix, adding dx: Matrix?,
    _ parameters: borrowing Storage, _ shards: [StorageBox]
  ) {
    let (output, group) = (memory[trace.output], unit.convolution.group)
    workers.run(unit.norm.channels) { channel, _ in
      for view in 0..<settings.views {
        unit.norm.backward(
          views(dy, view), input: views(output, view), channel: channel,
          trace.statistics.statistics(memory, view: view), parameters, shards[0].storage)
      }
    }
    workers.run(shards.count) { shard, worker in
      for first in stride(from: shard * group, to: settings.rows, by: shards.count * group) {
        let rows = first..<min(first + group, settings.rows)
        unit.convolution.backward(
          dy.rows(rows), input: x.rows(rows), adding: dx?.rows(rows), runners[worker].scratch, parameters,
          shards[shard].storage)
      }
    }
  }

  package func updateBuffers(_ parameters: borrowing Storage) {
    func update(_ unit: BasicBlock.Unit, _ trace: Plan.Unit) {
      for view in 0..<settings.views {
        unit.norm.update(
          parameters, trace.statistics.statistics(memory, view: view),
          count: settings.batch * unit.norm.area)
      }
    }
    if let stem = plan.stem { update(encoder.stem, stem.unit) }
    for ((block, isTrained), trace) in zip(blocks, plan.blocks) where isTrained {
      update(block.first, trace.first)
      update(block.second, trace.second)
      if let shortcut = block.shortcut, let unit = trace.shortcut { update(shortcut, unit) }
    }
  }
}

/// A residual block of ResNet-18 (arXiv 1512.03385, figure 5, left):
/// y = relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)).
package struct BasicBlock: Sendable {
  /// A convolution and its normalisation.
  package struct Unit: Sendable {
    package let convolution: Convolution
    package let norm: ChannelNorm

    package init(
      _ name: String, _ normName: String, inputs: Int, outputs: Int, kernel: Int, stride: Int, side: Int,
      in layout: inout Layout
    ) {
      convolution = Convolution(
        name, inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, side: side, in: &layout)
      let area = convolution.outputSide * convolution.outputSide
      norm = ChannelNorm(normName, channels: outputs, area: area, in: &layout)
    }
  }

  package let first, second: Unit
  /// Nil if the input is added unchanged.
  package let shortcut: Unit?

  /// Adds `name.conv1`, `.bn1`, `.conv2`, `.bn2` and `.downsample`, as named in torchvision.
  package init(_ name: String, inputs: Int, outputs: Int, stride: Int, side: Int, in layout: inout Layout) {
    first = Unit(
      "\(name).conv1", "\(name).bn1", inputs: inputs, outputs: outputs, kernel: 3, stride: stride, side: side,
      in: &layout)
    second = Unit(
      "\(name).conv2", "\(name).bn2", inputs: outputs, outputs: outputs, kernel: 3, stride: 1,
      side: first.convolution.outputSide, in: &layout)
    shortcut =
      stride == 1 && inputs == outputs
      ? nil
      : Unit(
        "\(name).downsample.0", "\(name).downsample.1", inputs: inputs, outputs: outputs, kernel: 1,
        stride: stride, side: side, in: &layout)
  }

  package var units: [Unit] { [first, second] + (shortcut.map { [$0] } ?? []) }
  package var inputSize: Int { first.convolution.inputSize }
  package var outputSize: Int { second.convolution.outputSize }
}
