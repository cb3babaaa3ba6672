/// The last block of an encoder, of which only the class token's output matters: exact, at the price of the
/// first normalisation and little more.
///
/// n images, T tokens, D = width, M = hidden width, R = n·T rows.
package struct ClassTokenBlock: Sendable {
  package let block: EncoderBlock
  private let attention: ClassTokenAttention

  package init(_ block: EncoderBlock) {
    self.block = block
    attention = ClassTokenAttention(block.attention)
  }

  /// What the backward pass needs: the first normalisation of all tokens, everything else of one.
  package struct Trace {
    let norm1: LayerNorm.Trace
    let attention: ClassTokenAttention.Trace
    let norm2: LayerNorm.Trace
    /// fc1's output [n, M].
    let hidden: Matrix
  }

  /// The slots of a trace of `images` images.
  package struct TracePlan: Sendable {
    private let norm1: LayerNorm.TracePlan
    private let attention: ClassTokenAttention.TracePlan
    private let norm2: LayerNorm.TracePlan
    private let hidden: Slot
    private let tokens: Int

    package init(images: Int, _ c: EncoderBlock.Shape, in layout: inout Layout) {
      norm1 = LayerNorm.TracePlan(rows: images * c.tokens, width: c.width, in: &layout)
      attention = ClassTokenAttention.TracePlan(
        images: images, tokens: c.tokens, width: c.width, heads: c.heads, in: &layout)
      norm2 = LayerNorm.TracePlan(rows: images, width: c.width, in: &layout)
      hidden = layout.add("hidden", images, c.hidden)
      tokens = c.tokens
    }

    /// The part of the trace that belongs to a range of its images.
    package func trace(_ storage: borrowing Storage, images: Range<Int>) -> Trace {
      Trace(
        norm1: norm1.trace(storage, rows: images.lowerBound * tokens..<images.upperBound * tokens),
        attention: attention.trace(storage, images: images), norm2: norm2.trace(storage, rows: images),
        hidden: storage[hidden].rows(images))
    }
  }

  /// The block's output for the class tokens, from its input x, which stays.       x [R, D], tokens [n, D]
  package func forward(
    _ x: Matrix, into tokens: Matrix, _ trace: Trace, _ scratch: EncoderBlock.Scratch,
    _ parameters: borrowing Storage
  ) {
    block.norm1.forward(x, into: scratch.branch, trace.norm1, parameters)
    Elementwise.copy(classTokens(x), to: tokens)
    attention.forward(scratch.branch, adding: tokens, trace.attention, parameters)
    let branch = scratch.branch.rows(0..<tokens.rows)
    block.norm2.forward(tokens, into: branch, trace.norm2, parameters)
    block.feedForward.forward(branch, adding: tokens, hidden: trace.hidden, scratch.feedForward, parameters)
  }

  /// dx, the gradient of the input, from the gradient d of the class tokens' output, which is overwritten.
  /// No dx: nothing below is trained.                                           d [n, D], dx [R, D]
  ///
  /// `gradient` is a trace of as many images, as work space.
  package func backward(
    _ d: Matrix, into dx: Matrix?, _ trace: Trace, gradient: Trace, _ scratch: EncoderBlock.Scratch,
    _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    let rows = 0..<d.rows
    block.norm2.output(trace.norm2, into: scratch.branch.rows(rows), parameters)
    block.feedForward.backward(
      d, input: scratch.branch.rows(rows), into: scratch.gradient.rows(rows), hidden: trace.hidden,
      scratch.feedForward, parameters, gradients)
    block.norm2.backward(scratch.gradient.rows(rows), trace.norm2, adding: d, parameters, gradients)
    block.norm1.output(trace.norm1, into: scratch.branch, parameters)
    attention.backward(
      d, input: scratch.branch, into: scratch.gradient, trace.attention, gradient: gradient.attention,
      parameters, gradients)
    if let dx {
      Elementwise.fill(dx, 0)
      Elementwise.copy(d, to: classTokens(dx))
    }
    block.norm1.backward(scratch.gradient, trace.norm1, adding: dx, parameters, gradients)
  }

  private func classTokens(_ x: Matrix) -> Matrix {
    let tokens = block.attention.tokens
    return Matrix(x.start, rows: x.rows / tokens, columns: x.columns, stride: tokens * x.stride)
  }
}
