/// An encoder of some family, as the rest of the engine sees it: a stem, blocks that are added stage by
/// stage, and a readout.
///
/// A new family conforms to this and joins ``EncoderConfiguration``; trainer, plans and what travels
/// stay as they are. n images, F = ``pooledWidth``, D = the configuration's ``EncoderConfiguration/output``.
package protocol Encoder: Sendable {
  var configuration: EncoderConfiguration { get }
  /// Which of the finished encoder's blocks exist here, rising: the first ones, or, with depth dropout, some.
  var blocks: [Int] { get }
  /// F, the width of what the last block leaves of an image.
  var pooledWidth: Int { get }
  var readout: Readout { get }
  /// What a step through it takes.
  var operations: EncoderOperations { get }

  /// Floats of an image's features behind so many of the blocks; 0 is behind the stem.
  func featureSize(behind depth: Int) -> Int
  /// How one of its parameters starts.
  func distribution(of entry: Layout.Entry) -> Initialisation.Distribution
  /// What takes a batch through it in training, and back.
  func makePass(_ settings: PassSettings, workers: Workers) -> any EncoderPass
  /// What that will allocate, by name.
  func passMemory(_ settings: PassSettings, workers: Int) -> [(name: String, bytes: Int)]
  /// What takes chunks of up to `chunk` images through it without training.
  func makeRunner(chunk: Int) -> any EncoderRunner
  /// What each of those will allocate, in bytes.
  func runnerMemory(chunk: Int) -> Int
}

/// Which blocks train in a pass, and on how much.
package struct PassSettings: Sendable {
  /// Blocks that no gradient goes through: frozen, and below all that trains.
  package var prefix: Int
  /// Positions of the blocks that train. The others above the prefix are frozen, too, and a gradient goes through them.
  package var trainedBlocks: Set<Int>
  package var trainsStem: Bool
  /// Views of each image; normalisation over a batch is over one view at a time.
  package var views: Int
  /// B, images a step.
  package var batch: Int
  /// Images that a worker takes at a time.
  package var chunk: Int
  /// Rows whose traces are kept at a time, where a family can do with less than all.
  package var keptRows: Int
  /// How much of the last block is computed.
  package var lastBlock: LastBlock
  /// Penalties on the outputs of the residual branches that train.
  package var branchPenalties: [any BranchPenalty]

  package init(
    prefix: Int, trainedBlocks: Set<Int>, trainsStem: Bool, views: Int, batch: Int, chunk: Int, keptRows: Int,
    lastBlock: LastBlock = .readout, branchPenalties: [any BranchPenalty] = []
  ) {
    precondition(!trainsStem || prefix == 0, "a stem that trains below a prefix of \(prefix)")
    (self.prefix, self.trainedBlocks, self.trainsStem) = (prefix, trainedBlocks, trainsStem)
    (self.views, self.batch, self.chunk) = (views, batch, chunk)
    (self.keptRows, self.lastBlock, self.branchPenalties) = (keptRows, lastBlock, branchPenalties)
  }

  /// All images in all views: row v·B + i is view v of image i.
  package var rows: Int { views * batch }
  /// Chunks of those rows; the last one may be smaller.
  package var chunks: Int { (rows + chunk - 1) / chunk }
  /// Whether the outputs of a block's residual branches are kept for the penalties on them.
  func keepsBranches(ofBlock position: Int) -> Bool {
    !branchPenalties.isEmpty && trainedBlocks.contains(position)
  }
}

/// How much of an encoder's last block a pass computes.
package enum LastBlock: Sendable, Hashable {
  /// What the readout needs of it.
  case readout
  /// All of it, for comparison: the result is the same.
  case whole
}

/// The encoder's side of an optimiser step: a batch forward to its pooled features, and back from their
/// gradients. The frozen part is shared by all branches.
package protocol EncoderPass: AnyObject {
  /// Fills `pooled` [rows, F] and that of every branch.
  func forward(
    _ parameters: borrowing Storage, _ images: Minibatch, into pooled: Matrix, branches: [PooledBranch])
  /// Adds the gradients of what trains, from `d`, that of the pooled features [rows, F], to the shards: each
  /// shard sums its own chunks in order, whichever worker computes them. `d` is overwritten. Returns the terms of the
  /// penalties on residual branches.
  @discardableResult
  func backward(
    _ d: Matrix, _ parameters: borrowing Storage, _ images: Minibatch, pooled: Matrix,
    into shards: [StorageBox]
  ) -> [LossTerms.Term]
  /// After an optimiser step: running statistics take in what the last forward pass saw.
  func updateBuffers(_ parameters: borrowing Storage)
}

extension EncoderPass {
  package func updateBuffers(_ parameters: borrowing Storage) {}
}

/// One worker's way through an encoder that does not train: a chunk of images at a time.
package protocol EncoderRunner: AnyObject {
  /// Takes images 0 ..< count, each given by `image(index, pixels)` as [C, H, W], through the stem.
  func begin(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void)
  /// Where the chunk's features stand behind so many blocks [count, feature size]: to be read, or to be set.
  func features(_ count: Int, behind depth: Int) -> Matrix
  /// Takes the chunk from behind `start` blocks to behind `end`.
  func advance(_ count: Int, from start: Int, to end: Int, _ parameters: borrowing Storage)
  /// Takes the chunk from behind `start` blocks to its representations [count, D].
  func represent(_ count: Int, from start: Int, into rows: Matrix, _ parameters: borrowing Storage)
}

/// Floating-point operations of one image forward: products alone, an addition and a multiplication each.
package struct EncoderOperations: Sendable {
  package let stem: Int
  /// One a block, from the lowest.
  package let blocks: [Int]
  /// The last block where only what the readout needs of it is computed.
  package let lastBlock: Int
  package let readout: Int
}
