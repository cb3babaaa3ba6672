/// An encoder of a family: a stem, blocks that are added stage by stage, and a readout.
///
/// A new family conforms to this protocol and is added to ``EncoderConfiguration/Family/allCases``; the trainer, plans and the protocol
/// remain unchanged. n images, F = ``pooledWidth``, D = ``output``. It adds its parameters in this order: the part `stem`,
/// a part `blocks.I` for each of ``blocks``, and the readout.
package protocol Encoder: Sendable {
  /// The indices of the existing blocks in the finished encoder, ascending: the first ones, or some with depth dropout.
  var blocks: [Int] { get }
  /// The width F of the last block's output for an image.
  var pooledWidth: Int { get }
  /// The width D of a representation.
  var output: Int { get }
  /// The number of values of an input.
  var inputCount: Int { get }
  var readout: Readout { get }
  /// The floating-point operations of the forward pass.
  var operations: EncoderOperations { get }
  /// Returns the encoder with the same parameters for square images of another side, a multiple of a patch and less than
  /// that of its images; nil if the family has none.
  func cropped(to side: Int) -> (any Encoder)?
  /// Returns the operations of a forward pass of the class token and a number of patches; of all patches for nil, or if
  /// a family cannot skip patches.
  func operations(showing shownPatches: Int?) -> EncoderOperations

  /// The number of blocks that a pass needs above its prefix even if none of them trains.
  var tracedBlocks: Int { get }
  /// The operations of the part of a block that a readout behind it needs, if runners compute only that part; nil if they
  /// compute the whole block.
  var partialBlock: Int? { get }

  /// Returns the number of floats of an image's features after `depth` blocks; 0 means after the stem.
  func featureSize(behind depth: Int) -> Int
  /// Returns the initial distribution of one of its parameters.
  func distribution(of entry: Layout.Entry) -> Initialisation.Distribution
  /// Replaces initial values that are not drawn one by one, after all are drawn from their distributions.
  func initialise(_ parameters: borrowing Storage, seed: UInt64)
  /// Returns the width F of the pooled features after `depth` blocks, at least 1.
  func pooledWidth(behind depth: Int) -> Int
  /// Returns the width D of the output of a readout after `depth` blocks, at least 1.
  func output(behind depth: Int) -> Int
  /// Adds the parameters of another readout, after `depth` blocks, for an exit; their names begin with `name`.
  func makeReadout(_ name: String, behind depth: Int, in layout: inout Layout) -> Readout
  /// Creates the forward and backward passes of a training step.
  func makePass(_ settings: PassSettings, workers: Workers) -> any EncoderPass
  /// Returns the memory of these passes, by name.
  func passMemory(_ settings: PassSettings, workers: Int) -> [(name: String, bytes: Int)]
  /// Creates a runner that encodes chunks of up to `chunk` images without training.
  func makeRunner(chunk: Int) -> any EncoderRunner
  /// Returns the memory of a runner in bytes.
  func runnerMemory(chunk: Int) -> Int
}

extension Encoder {
  package func operations(showing shownPatches: Int?) -> EncoderOperations { operations }
  package func cropped(to side: Int) -> (any Encoder)? { nil }
  package var tracedBlocks: Int { 1 }
  package var partialBlock: Int? { nil }
  package func output(behind depth: Int) -> Int { output }
  package func initialise(_ parameters: borrowing Storage, seed: UInt64) {}
}

/// The trained blocks of a pass, and the size of its batches.
package struct PassSettings: Sendable {
  /// The number of blocks without gradients: frozen, and below all trained blocks.
  package var prefix: Int
  /// The positions of the trained blocks. Other blocks above the prefix are frozen, but gradients pass through them.
  package var trainedBlocks: Set<Int>
  package var trainsStem: Bool
  /// The number of views of each image; batch normalisation uses one view at a time.
  package var views: Int
  /// The batch size B, images per step.
  package var batch: Int
  /// The number of images that a worker processes at a time.
  package var chunk: Int
  /// The number of rows whose traces are kept at a time, if a family supports fewer than all.
  package var keptRows: Int
  /// The number of nodes of the graph; 0 if the blocks above the prefix do not use it.
  package var nodes: Int
  /// The numbers of neighbours that a step samples at each hop; nil for the whole graph.
  package var fanouts: [Int]?
  /// The hops of the propagation that makes view 1 of a node from view 0.
  package var hops: Int
  /// The number of an image's patches that are computed besides the class token; nil for all. The pooled features are then
  /// all tokens, for vision transformers only.
  package var shownPatches: Int?
  /// The number of the first of these views among all of an image.
  package var firstView: Int
  /// The part of the last block that is computed.
  package var lastBlock: LastBlock
  /// Penalties on the outputs of the residual branches that train.
  package var branchPenalties: [any BranchPenalty]

  package init(
    prefix: Int, trainedBlocks: Set<Int>, trainsStem: Bool, views: Int, batch: Int, chunk: Int, keptRows: Int,
    nodes: Int = 0, fanouts: [Int]? = nil, hops: Int = 0, shownPatches: Int? = nil, firstView: Int = 0,
    lastBlock: LastBlock = .readout,
    branchPenalties: [any BranchPenalty] = []
  ) {
    precondition(!trainsStem || prefix == 0, "a stem that trains below a prefix of \(prefix)")
    (self.prefix, self.trainedBlocks, self.trainsStem) = (prefix, trainedBlocks, trainsStem)
    (self.views, self.batch, self.chunk) = (views, batch, chunk)
    (self.keptRows, self.nodes, self.fanouts, self.hops) = (keptRows, nodes, fanouts, hops)
    (self.shownPatches, self.firstView) = (shownPatches, firstView)
    (self.lastBlock, self.branchPenalties) = (lastBlock, branchPenalties)
  }

  /// The number of rows: row v·B + i is view v of image i.
  package var rows: Int { views * batch }
  /// Chunks of those rows; the last one may be smaller.
  package var chunks: Int { (rows + chunk - 1) / chunk }
  /// The chunks in an order in which the views of an image follow each other, so that a source that decodes images
  /// decodes each once for all views.
  package var chunksByImage: [Int] {
    (0..<chunks).sorted { ($0 * chunk % batch, $0) < ($1 * chunk % batch, $1) }
  }
  /// The rows of a chunk in the order in which to write them: backwards for every second view, so that two workers with
  /// the views of the same images meet in the middle, and each decodes half of them.
  package func writingOrder(_ rows: Range<Int>) -> StrideThrough<Int> {
    rows.lowerBound / batch % 2 == 0
      ? stride(from: rows.lowerBound, through: rows.upperBound - 1, by: 1)
      : stride(from: rows.upperBound - 1, through: rows.lowerBound, by: -1)
  }
  /// Whether the outputs of a block's residual branches are kept for the penalties on them.
  package func keepsBranches(ofBlock position: Int) -> Bool {
    !branchPenalties.isEmpty && trainedBlocks.contains(position)
  }
}

/// The part of an encoder's last block that a pass computes.
package enum LastBlock: Sendable, Hashable {
  /// The part that the readout needs.
  case readout
  /// The whole block, for comparison; the result is the same.
  case whole
}

/// The encoder's part of an optimiser step: the forward pass of a batch to its pooled features, and the backward pass
/// from their gradients. All branches share the frozen prefix.
package protocol EncoderPass: AnyObject {
  /// Computes `pooled` [rows, F], and the pooled features of every branch.
  func forward(
    _ parameters: borrowing Storage, _ images: Minibatch, into pooled: Matrix, branches: [PooledBranch])
  /// Adds the gradients of the trained parameters, of which there are some, to the shards, from the gradient `d` of the pooled features [rows,
  /// F], which is overwritten. Each shard sums its own chunks in order, whichever worker computes them. Returns the
  /// terms of the penalties on residual branches.
  @discardableResult
  func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ images: Minibatch, pooled: Matrix,
    into shards: [StorageBox]
  ) -> [LossTerms.Term]
  /// Updates running statistics with those of the last forward pass, after an optimiser step.
  func updateBuffers(_ parameters: borrowing Storage)
}

extension EncoderPass {
  package func updateBuffers(_ parameters: borrowing Storage) {}
}

/// The forward pass of one worker without training, for one chunk of images at a time.
package protocol EncoderRunner: AnyObject {
  /// Computes the stem for images 0 ..< count; `image(index, pixels)` writes each as [C, H, W].
  func begin(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void)
  /// Returns the features of the chunk after `depth` blocks [count, feature size], for reading or writing.
  func features(_ count: Int, behind depth: Int) -> Matrix
  /// Computes the blocks from depth `start` to depth `end`.
  func advance(_ count: Int, from start: Int, to end: Int, _ parameters: borrowing Storage)
  /// Computes the representations [count, D] from the features at depth `start`.
  func represent(_ count: Int, from start: Int, into rows: Matrix, _ parameters: borrowing Storage)
  /// Computes the pooled features of the chunk after `depth` blocks [count, F].
  func pool(_ count: Int, behind depth: Int, into rows: Matrix)
  /// Computes the pooled features after `depth` blocks [count, F] from the features at depth `start`, which is less.
  /// Returns the depth of the features that the chunk has afterwards: `depth`, or one less where a readout needs only a
  /// part of the block below it.
  func pool(
    _ count: Int, from start: Int, behind depth: Int, into rows: Matrix, _ parameters: borrowing Storage
  ) -> Int
}

extension EncoderRunner {
  package func pool(
    _ count: Int, from start: Int, behind depth: Int, into rows: Matrix, _ parameters: borrowing Storage
  ) -> Int {
    advance(count, from: start, to: depth, parameters)
    pool(count, behind: depth, into: rows)
    return depth
  }
}

/// The floating-point operations of one image's forward pass. Only matrix products count, with an addition and a
/// multiplication each.
package struct EncoderOperations: Sendable {
  package let stem: Int
  /// The operations of each block, from the lowest.
  package let blocks: [Int]
  /// The operations of the part of the last block that the readout needs.
  package let lastBlock: Int
  package let readout: Int

  package init(stem: Int, blocks: [Int], lastBlock: Int, readout: Int) {
    (self.stem, self.blocks, self.lastBlock, self.readout) = (stem, blocks, lastBlock, readout)
  }
}
