/// The work space of one worker: a chunk of images on its way through the encoder.
///
/// All frozen blocks share the one trace that is here, since nobody reads it.
final class WorkerMemory {
  private let plan: Plan
  private let storage: Storage

  /// Its layout, so that the memory of a stage is known before it is allocated.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    let chunk: Int
    let configuration: EncoderConfiguration
    let image, patches, tokens, referenceTokens, gradient: Slot
    let frozen: EncoderBlock.TracePlan
    let last: ClassTokenBlock.TracePlan
    let scratch: EncoderBlock.ScratchPlan

    init(chunk: Int, _ c: EncoderConfiguration) {
      self.chunk = chunk
      configuration = c
      image = layout.add("image", c.imageSize)
      patches = layout.add("patches", chunk * c.patches, c.patchSize)
      tokens = layout.add("tokens", chunk * c.tokens, c.width)
      referenceTokens = layout.add("reference tokens", chunk * c.tokens, c.width)
      gradient = layout.add("token gradients", chunk * c.tokens, c.width)
      frozen = EncoderBlock.TracePlan(images: chunk, keepsHidden: false, c.block, in: &layout)
      last = ClassTokenBlock.TracePlan(images: chunk, c.block, in: &layout)
      scratch = EncoderBlock.ScratchPlan(images: chunk, c.block, in: &layout)
    }
  }

  init(_ plan: Plan) {
    self.plan = plan
    storage = Storage(plan.layout)
  }

  /// One image [C, H, W], as one row.
  var image: Matrix { storage[plan.image] }

  /// Patches of `images` images [images · patches, patch size].
  func patches(_ images: Int) -> Matrix {
    storage[plan.patches].rows(0..<images * plan.configuration.patches)
  }

  /// Tokens of `images` images [images · T, D].
  func tokens(_ images: Int) -> Matrix { storage[plan.tokens].rows(0..<images * plan.configuration.tokens) }

  /// Tokens of the branch through the global model [images · T, D].
  func referenceTokens(_ images: Int) -> Matrix {
    storage[plan.referenceTokens].rows(0..<images * plan.configuration.tokens)
  }

  /// Gradients of tokens [images · T, D].
  func gradient(_ images: Int) -> Matrix {
    storage[plan.gradient].rows(0..<images * plan.configuration.tokens)
  }

  func frozenTrace(_ images: Int) -> EncoderBlock.Trace { plan.frozen.trace(storage, images: 0..<images) }

  /// The last block's trace where nobody reads it, and work space for its backward pass.
  func lastTrace(_ images: Int) -> ClassTokenBlock.Trace { plan.last.trace(storage, images: 0..<images) }

  func scratch(_ images: Int) -> EncoderBlock.Scratch { plan.scratch.scratch(storage, images: images) }
}

/// A storage that an array can hold.
final class StorageBox {
  let storage: Storage

  init(_ range: Range<Int>) { storage = Storage(range) }
}
