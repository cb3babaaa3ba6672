import Engine

/// A residual MLP on the values of an image: a linear stem, blocks, and a final normalisation.
///
/// n images of N values, D = width, M = hidden. The features, the pooled output and the representation of an
/// image are [D].
package struct ResidualMLP: Encoder {
  package struct Shape: Sendable, Hashable {
    package var images: ImageInput
    /// The width D of the features.
    package var width: Int
    /// The number of blocks of the finished encoder.
    package var depth: Int

    package init(images: ImageInput, width: Int, depth: Int) {
      (self.images, self.width, self.depth) = (images, width, depth)
    }

    /// The width M of a block's hidden layer.
    package var hidden: Int { 4 * width }
  }

  package let shape: Shape
  package let blocks: [Int]
  let stem: Linear
  let layers: [Block]
  let norm: LayerNorm

  package init(_ shape: Shape, blocks: [Int], in layout: inout Layout) {
    (self.shape, self.blocks) = (shape, blocks)
    layout.part = "stem"
    stem = Linear("stem", inputs: shape.images.count, outputs: shape.width, in: &layout)
    var layers: [Block] = []
    for index in blocks {
      layout.part = "blocks.\(index)"
      layers.append(Block("blocks.\(index)", shape, in: &layout))
    }
    self.layers = layers
    layout.part = "norm"
    norm = LayerNorm("norm", width: shape.width, in: &layout)
  }

  package var pooledWidth: Int { shape.width }
  package var output: Int { shape.width }
  package var inputCount: Int { shape.images.count }
  package var readout: Readout { .norm(norm) }
  package func featureSize(behind depth: Int) -> Int { shape.width }
  package func pooledWidth(behind depth: Int) -> Int { shape.width }

  package func makeReadout(_ name: String, behind depth: Int, in layout: inout Layout) -> Readout {
    .norm(LayerNorm("\(name).norm", width: shape.width, in: &layout))
  }

  package var operations: EncoderOperations {
    let block = 4 * shape.width * shape.hidden
    return EncoderOperations(
      stem: 2 * shape.images.count * shape.width, blocks: blocks.map { _ in block }, lastBlock: block,
      readout: 0)
  }

  /// The distributions of nn.Linear; biases are 0, the normalisation 1 and 0.
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    if entry.shape.count == 1 { return .constant(entry.name.hasSuffix("norm.weight") ? 1 : 0) }
    return .uniform(bound: 1 / Float(entry.slot.columns).squareRoot())
  }

  package func makePass(_ settings: PassSettings, workers: Workers) -> any EncoderPass {
    ResidualMLPPass(self, settings, workers: workers)
  }

  package func passMemory(_ settings: PassSettings, workers: Int) -> [(name: String, bytes: Int)] {
    [
      ("traces", ResidualMLPPass.Plan(self, settings).layout.bytes),
      ("workers", workers * runnerMemory(chunk: settings.chunk)),
    ]
  }

  package func makeRunner(chunk: Int) -> any EncoderRunner { ResidualMLPRunner(self, chunk: chunk) }

  package func runnerMemory(chunk: Int) -> Int { ResidualMLPRunner.Plan(self, chunk: chunk).layout.bytes }
}

/// The family `mlp` of a plan. The number of blocks and the width are fields of all families.
extension ResidualMLP.Shape: ImageFamilyConfiguration {
  package static let family = EncoderConfiguration.Family("mlp", Self.self)
  package var output: Int { width }

  package func makeEncoder(blocks: [Int], in layout: inout Layout) -> any Encoder {
    ResidualMLP(self, blocks: blocks, in: &layout)
  }

  package init(from decoder: any Swift.Decoder) throws { try self.init(commonFieldsOf: decoder) }
  package func encode(to encoder: any Swift.Encoder) throws { try encodeCommonFields(to: encoder) }
}

extension ResidualMLP {
  /// x += fc2(GELU(fc1(x))).
  struct Block: Sendable {
    let fc1, fc2: Linear

    init(_ name: String, _ shape: Shape, in layout: inout Layout) {
      fc1 = Linear("\(name).fc1", inputs: shape.width, outputs: shape.hidden, in: &layout)
      fc2 = Linear("\(name).fc2", inputs: shape.hidden, outputs: shape.width, in: &layout)
    }

    /// The values kept for the backward pass: x [n, D], GELU's input and output [n, M], and the branch that is added to
    /// x [n, D].
    struct Trace {
      let input, hidden, activated, branch: Matrix
    }

    /// The slots of a trace of `rows` images.
    struct TracePlan: Sendable {
      private let input, hidden, activated, branch: Slot

      init(rows: Int, _ shape: Shape, in layout: inout Layout) {
        input = layout.add("input", rows, shape.width)
        hidden = layout.add("hidden", rows, shape.hidden)
        activated = layout.add("activated", rows, shape.hidden)
        branch = layout.add("branch", rows, shape.width)
      }

      func trace(_ storage: borrowing Storage, rows: Range<Int>) -> Trace {
        Trace(
          input: storage[input].rows(rows), hidden: storage[hidden].rows(rows),
          activated: storage[activated].rows(rows), branch: storage[branch].rows(rows))
      }
    }

    /// x [n, D]
    func forward(_ x: Matrix, _ trace: Trace, _ parameters: borrowing Storage) {
      Elementwise.copy(x, to: trace.input)
      fc1.forward(x, into: trace.hidden, parameters)
      Elementwise.gelu(trace.hidden, into: trace.activated)
      fc2.forward(trace.activated, into: trace.branch, parameters)
      Elementwise.add(trace.branch, to: x)
    }

    /// Replaces d, the gradient of the output [n, D], with that of the input. `penalise(branch, gradient)` adds the
    /// gradients of penalties to that of the branch; `scratch` is overwritten.
    func backward(
      _ d: Matrix, _ trace: Trace, _ scratch: Trace, _ parameters: borrowing Storage,
      _ gradients: borrowing Storage, penalise: (Matrix, Matrix) -> Void
    ) {
      Elementwise.copy(d, to: scratch.branch)
      penalise(trace.branch, scratch.branch)
      fc2.backward(scratch.branch, input: trace.activated, into: scratch.hidden, parameters, gradients)
      Elementwise.geluBackward(scratch.hidden, input: trace.hidden, into: scratch.hidden)
      fc1.backward(scratch.hidden, input: trace.input, into: scratch.input, parameters, gradients)
      Elementwise.add(scratch.input, to: d)
    }
  }
}

/// The forward pass of one worker, for a chunk of images without training; also a worker's scratch in a training step.
final class ResidualMLPRunner: EncoderRunner {
  private let encoder: ResidualMLP
  private let plan: Plan
  private let storage: Storage

  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    let images, features: Slot
    let scratch: ResidualMLP.Block.TracePlan
    let readout: Readout.TracePlan

    init(_ encoder: ResidualMLP, chunk: Int) {
      images = layout.add("images", chunk, encoder.shape.images.count)
      features = layout.add("features", chunk, encoder.shape.width)
      scratch = ResidualMLP.Block.TracePlan(rows: chunk, encoder.shape, in: &layout)
      readout = encoder.readout.tracePlan(rows: chunk, width: encoder.output, in: &layout)
    }
  }

  init(_ encoder: ResidualMLP, chunk: Int) {
    self.encoder = encoder
    plan = Plan(encoder, chunk: chunk)
    storage = Storage(plan.layout)
  }

  /// Returns the values of images [count, N].
  func images(_ count: Int) -> Matrix { storage[plan.images].rows(0..<count) }

  func scratch(_ count: Int) -> ResidualMLP.Block.Trace { plan.scratch.trace(storage, rows: 0..<count) }

  func begin(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let images = images(count)
    for index in 0..<count { image(index, images.row(index)) }
    encoder.stem.forward(images, into: features(count, behind: 0), parameters)
  }

  func features(_ count: Int, behind depth: Int) -> Matrix { storage[plan.features].rows(0..<count) }

  func advance(_ count: Int, from start: Int, to end: Int, _ parameters: borrowing Storage) {
    let (x, scratch) = (features(count, behind: start), scratch(count))
    for block in encoder.layers[start..<end] { block.forward(x, scratch, parameters) }
  }

  func represent(_ count: Int, from start: Int, into rows: Matrix, _ parameters: borrowing Storage) {
    let depth = encoder.layers.count
    advance(count, from: start, to: depth, parameters)
    encoder.readout.forward(
      features(count, behind: depth), into: rows, plan.readout, rows: 0..<count, storage, parameters)
  }

  func pool(_ count: Int, behind depth: Int, into rows: Matrix) {
    Elementwise.copy(features(count, behind: depth), to: rows)
  }
}

/// The encoder's part of a training step, one chunk of rows at a time. Features are as wide as pooled features, so they
/// are computed in the place of these.
final class ResidualMLPPass: EncoderPass {
  private let encoder: ResidualMLP
  private let settings: PassSettings
  private let plan: Plan
  private let memory: Storage
  private let runners: [ResidualMLPRunner]
  private let workers: Workers
  private let noGradients = StorageBox([])

  /// The traces of a batch: the images [rows, N], if the stem trains, and those of the blocks above the prefix.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    let images: Slot?
    let blocks: [ResidualMLP.Block.TracePlan]
    let penalties: BranchPenalties.Plan?

    init(_ encoder: ResidualMLP, _ settings: PassSettings) {
      let (rows, shape) = (settings.rows, encoder.shape)
      images = settings.trainsStem ? layout.add("images", rows, shape.images.count) : nil
      var blocks: [ResidualMLP.Block.TracePlan] = []
      for _ in settings.prefix..<encoder.layers.count {
        blocks.append(ResidualMLP.Block.TracePlan(rows: rows, shape, in: &layout))
      }
      self.blocks = blocks
      penalties = BranchPenalties.Plan(settings, in: &layout)
    }
  }

  init(_ encoder: ResidualMLP, _ settings: PassSettings, workers: Workers) {
    (self.encoder, self.settings, self.workers) = (encoder, settings, workers)
    plan = Plan(encoder, settings)
    memory = Storage(plan.layout)
    runners = (0..<workers.count).map { _ in ResidualMLPRunner(encoder, chunk: settings.chunk) }
  }

  /// Returns the rows of the batch in a chunk.
  private func rows(of chunk: Int) -> Range<Int> {
    chunk * settings.chunk..<min((chunk + 1) * settings.chunk, settings.rows)
  }

  /// Returns the images of some rows, if the stem trains.
  private func images(_ rows: Range<Int>) -> Matrix? {
    guard let slot = plan.images else { return nil }
    return memory[slot].rows(rows)
  }

  func forward(
    _ parameters: borrowing Storage, _ images: Minibatch, into pooled: Matrix, branches: [PooledBranch]
  ) {
    workers.run(settings.chunks) { chunk, worker in
      let (rows, runner) = (rows(of: chunk), runners[worker])
      let (x, values) = (pooled.rows(rows), self.images(rows) ?? runner.images(rows.count))
      for (index, row) in rows.enumerated() {
        images.write(
          view: row / settings.batch, image: row % settings.batch, worker: worker,
          into: images.givesFeatures ? x.row(index) : values.row(index))
      }
      let scratch = runner.scratch(rows.count)
      if !images.givesFeatures {
        encoder.stem.forward(values, into: x, parameters)
        for block in encoder.layers[..<settings.prefix] { block.forward(x, scratch, parameters) }
      }
      for branch in branches {
        let g = branch.pooled.rows(rows)
        if settings.trainsStem {
          encoder.stem.forward(values, into: g, branch.parameters.storage)
        } else {
          Elementwise.copy(x, to: g)
        }
        advance(g, branch.parameters.storage, frozen: parameters) { _ in scratch }
      }
      advance(x, parameters, frozen: parameters) { $0.trace(memory, rows: rows) }
    }
  }

  /// Computes the blocks above the prefix, with the parameters `trained` for those that train and `frozen` for the
  /// others.                                                                  x [n, D]
  private func advance(
    _ x: Matrix, _ trained: borrowing Storage, frozen: borrowing Storage,
    trace: (ResidualMLP.Block.TracePlan) -> ResidualMLP.Block.Trace
  ) {
    for (index, plan) in zip(settings.prefix..<encoder.layers.count, plan.blocks) {
      if settings.trainedBlocks.contains(index) {
        encoder.layers[index].forward(x, trace(plan), trained)
      } else {
        encoder.layers[index].forward(x, trace(plan), frozen)
      }
    }
  }

  func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ images: Minibatch, pooled: Matrix,
    into shards: [StorageBox]
  ) -> [LossTerms.Term] {
    let penalties = plan.penalties?.penalties(memory, rows: settings.rows)
    penalties?.clear()
    workers.run(shards.count) { shard, worker in
      for chunk in stride(from: shard, to: settings.chunks, by: shards.count) {
        backpropagate(chunk, d, runners[worker], parameters, shards[shard], penalties)
      }
    }
    return penalties?.terms ?? []
  }

  /// d is the gradient of the whole batch's pooled features [rows, D].
  private func backpropagate(
    _ chunk: Int, _ d: Matrix, _ runner: ResidualMLPRunner, _ parameters: borrowing Storage,
    _ gradients: StorageBox, _ penalties: BranchPenalties?
  ) {
    let rows = rows(of: chunk)
    let (d, scratch) = (d.rows(rows), runner.scratch(rows.count))
    for index in (settings.prefix..<encoder.layers.count).reversed() {
      let own = settings.trainedBlocks.contains(index) ? gradients : noGradients
      let trace = plan.blocks[index - settings.prefix].trace(memory, rows: rows)
      encoder.layers[index].backward(d, trace, scratch, parameters, own.storage) { branch, gradient in
        guard settings.keepsBranches(ofBlock: index) else { return }
        penalties?.apply(branch, chunk: chunk, adding: gradient)
      }
    }
    if let images = images(rows) {
      encoder.stem.backward(d, input: images, into: nil, parameters, gradients.storage)
    }
  }
}
