/// The work space of one worker for a chunk of images in a vision transformer.
///
/// All frozen blocks share one trace, because it is never read. n images, P patches of N values, T tokens, D = width.
final class VisionTransformerRunner {
  let encoder: VisionTransformer
  private let plan: Plan
  private let storage: Storage

  /// The layout, which gives the memory of a stage before it is allocated.
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
      patches = layout.add("patches", chunk * c.shownPatches, c.patchSize)
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

  /// The values of an image [C, H, W], as one row.
  var image: Matrix { storage[plan.image] }

  /// Returns the patches of `images` images [images · patches, patch size].
  func patches(_ images: Int) -> Matrix {
    storage[plan.patches].rows(0..<images * plan.configuration.shownPatches)
  }

  /// Returns the tokens of `images` images [images · T, D].
  func tokens(_ images: Int) -> Matrix { storage[plan.tokens].rows(0..<images * plan.configuration.tokens) }

  /// Returns the tokens of the reference or target branch [images · T, D].
  func branchTokens(_ images: Int) -> Matrix {
    storage[plan.branchTokens].rows(0..<images * plan.configuration.tokens)
  }

  /// Returns the gradients of tokens [images · T, D].
  func gradient(_ images: Int) -> Matrix {
    storage[plan.gradient].rows(0..<images * plan.configuration.tokens)
  }

  /// A trace that no backward pass reads. The outputs of residual branches have places in it where `keepsBranches`: as
  /// in a trace that is kept, so that both compute the same to the bit.
  func frozenTrace(_ images: Int, keepsBranches: Bool = false) -> EncoderBlock.Trace {
    let trace = plan.frozen.trace(storage, images: 0..<images)
    return keepsBranches ? trace : trace.withoutBranches
  }

  /// Returns the last block's trace if it is not kept; also the work space of its backward pass.
  func lastTrace(_ images: Int) -> ClassTokenBlock.Trace { plan.last.trace(storage, images: 0..<images) }

  func scratch(_ images: Int) -> EncoderBlock.Scratch { plan.scratch.scratch(storage, images: images) }
}

extension VisionTransformerRunner: EncoderRunner {
  func begin(
    _ count: Int, _ parameters: borrowing Storage, _ image: (Int, UnsafeMutablePointer<Float>) -> Void
  ) {
    let patches = patches(count)
    for index in 0..<count { cut(index, into: patches) { image(index, $0) } }
    encoder.stem.forward(patches, into: tokens(count), parameters)
  }

  /// Extracts the patches of an image of a chunk into `patches` [n·P, N], only the shown ones if not all are; `write`
  /// writes the image.
  func cut(
    _ index: Int, into patches: Matrix, shown: UnsafeBufferPointer<Int32> = PatchEmbedding.all(0),
    _ write: (UnsafeMutablePointer<Float>) -> Void
  ) {
    let each = encoder.shape.shownPatches
    write(image.start)
    encoder.stem.cut(image.start, into: patches.rows(index * each..<(index + 1) * each), shown: shown)
  }

  func features(_ count: Int, behind depth: Int) -> Matrix {
    tokens(count).reshaped(count, encoder.featureSize(behind: depth))
  }

  func advance(_ count: Int, from start: Int, to end: Int, _ parameters: borrowing Storage) {
    let (x, trace, scratch) = (tokens(count), frozenTrace(count), scratch(count))
    for block in encoder.layers[start..<end] { block.forward(x, trace, scratch, parameters) }
  }

  func represent(_ count: Int, from start: Int, into rows: Matrix, _ parameters: borrowing Storage) {
    precondition(!encoder.layers.isEmpty, "an encoder without blocks")
    _ = pool(count, from: start, behind: encoder.layers.count, into: rows, parameters)
    encoder.norm.forward(rows, into: rows, lastTrace(count).norm2, parameters)
  }

  /// Computes the last of these blocks only for the class token, because many images may leave behind it.
  func pool(
    _ count: Int, from start: Int, behind depth: Int, into rows: Matrix, _ parameters: borrowing Storage
  ) -> Int {
    advance(count, from: start, to: depth - 1, parameters)
    ClassTokenBlock(encoder.layers[depth - 1])
      .forward(tokens(count), into: rows, lastTrace(count), scratch(count), parameters)
    return depth - 1
  }

  func pool(_ count: Int, behind depth: Int, into rows: Matrix) {
    let (x, tokens) = (tokens(count), encoder.shape.tokens)
    Elementwise.copy(Matrix(x.start, rows: count, columns: x.columns, stride: tokens * x.stride), to: rows)
  }
}
