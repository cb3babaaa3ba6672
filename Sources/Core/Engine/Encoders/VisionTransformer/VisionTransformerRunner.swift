/// One worker's work space: a chunk of images on its way through a vision transformer.
///
/// All frozen blocks share the one trace that is here, since nobody reads it. n images, P patches of N numbers,
/// T tokens, D = width.
final class VisionTransformerRunner {
  let encoder: VisionTransformer
  private let plan: Plan
  private let storage: Storage

  /// Its layout, so that the memory of a stage is known before it is allocated.
  struct Plan: Sendable {
    private(set) var layout = Layout(alignment: 16)
    let chunk: Int
    let configuration: ViTConfiguration
    let image, patches, tokens, branchTokens, gradient: Slot
    let frozen: EncoderBlock.TracePlan
    let last: ClassTokenBlock.TracePlan
    let scratch: EncoderBlock.ScratchPlan

    init(chunk: Int, keepsBranches: Bool = false, _ c: ViTConfiguration) {
      self.chunk = chunk
      configuration = c
      image = layout.add("image", c.images.count)
      patches = layout.add("patches", chunk * c.patches, c.patchSize)
      tokens = layout.add("tokens", chunk * c.tokens, c.width)
      branchTokens = layout.add("branch tokens", chunk * c.tokens, c.width)
      gradient = layout.add("token gradients", chunk * c.tokens, c.width)
      frozen = EncoderBlock.TracePlan(
        images: chunk, keepsHidden: false, keepsBranches: keepsBranches, c.block, in: &layout)
      last = ClassTokenBlock.TracePlan(images: chunk, c.block, in: &layout)
      scratch = EncoderBlock.ScratchPlan(images: chunk, keepsBranches: keepsBranches, c.block, in: &layout)
    }
  }

  init(_ encoder: VisionTransformer, chunk: Int, keepsBranches: Bool = false) {
    self.encoder = encoder
    plan = Plan(chunk: chunk, keepsBranches: keepsBranches, encoder.shape)
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

  /// Tokens of a branch beside the online one [images · T, D].
  func branchTokens(_ images: Int) -> Matrix {
    storage[plan.branchTokens].rows(0..<images * plan.configuration.tokens)
  }

  /// Gradients of tokens [images · T, D].
  func gradient(_ images: Int) -> Matrix {
    storage[plan.gradient].rows(0..<images * plan.configuration.tokens)
  }

  /// A trace that no backward pass reads. The outputs of residual branches have places in it where `keepsBranches`: as
  /// in a trace that is kept, so that both compute the same to the bit.
  func frozenTrace(_ images: Int, keepsBranches: Bool = false) -> EncoderBlock.Trace {
    let trace = plan.frozen.trace(storage, images: 0..<images)
    return keepsBranches ? trace : trace.withoutBranches
  }

  /// The last block's trace where nobody reads it, and work space for its backward pass.
  func lastTrace(_ images: Int) -> ClassTokenBlock.Trace { plan.last.trace(storage, images: 0..<images) }

  func scratch(_ images: Int) -> EncoderBlock.Scratch { plan.scratch.scratch(storage, images: images) }
}

extension VisionTransformerRunner: EncoderRunner {
  func begin(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let patches = patches(count)
    cut(count, into: patches, image)
    encoder.stem.forward(patches, into: tokens(count), parameters)
  }

  /// The patches of a chunk of images [n·P, N], cut from what `image(index, pixels)` gives for each.
  func cut(_ count: Int, into patches: Matrix, _ image: (Int, UnsafeMutablePointer<Float>) -> Void) {
    let each = encoder.shape.patches
    for index in 0..<count {
      image(index, self.image.start)
      encoder.stem.cut(self.image.start, into: patches.rows(index * each..<(index + 1) * each))
    }
  }

  func features(_ count: Int, behind depth: Int) -> Matrix {
    tokens(count).reshaped(count, encoder.featureSize(behind: depth))
  }

  func advance(_ count: Int, from start: Int, to end: Int, _ parameters: borrowing Storage) {
    let (x, trace, scratch) = (tokens(count), frozenTrace(count), scratch(count))
    for block in encoder.layers[start..<end] { block.forward(x, trace, scratch, parameters) }
  }

  func represent(_ count: Int, from start: Int, into rows: Matrix, _ parameters: borrowing Storage) {
    guard let last = encoder.layers.last else { preconditionFailure("an encoder without blocks") }
    advance(count, from: start, to: encoder.layers.count - 1, parameters)
    let trace = lastTrace(count)
    ClassTokenBlock(last).forward(tokens(count), into: rows, trace, scratch(count), parameters)
    encoder.norm.forward(rows, into: rows, trace.norm2, parameters)
  }
}
