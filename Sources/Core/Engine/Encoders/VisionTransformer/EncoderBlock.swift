/// A pre-norm transformer block: x += attention(norm1(x)); x += mlp(norm2(x)).
///
/// n images, T tokens, D = width, M = hidden width, R = n·T rows.
package struct EncoderBlock: Sendable {
  package let norm1: LayerNorm
  package let attention: Attention
  package let norm2: LayerNorm
  package let feedForward: FeedForward

  /// The dimensions of a block.
  package struct Shape: Sendable, Hashable {
    package let tokens: Int
    package let width: Int
    package let heads: Int
    package let hidden: Int

    package init(tokens: Int, width: Int, heads: Int, hidden: Int) {
      (self.tokens, self.width, self.heads, self.hidden) = (tokens, width, heads, hidden)
    }
  }

  /// Adds `name.norm1`, `name.attn`, `name.norm2` and `name.mlp`, as named in timm.
  package init(_ name: String, _ c: Shape, in layout: inout Layout) {
    norm1 = LayerNorm("\(name).norm1", width: c.width, in: &layout)
    attention = Attention("\(name).attn", tokens: c.tokens, width: c.width, heads: c.heads, in: &layout)
    norm2 = LayerNorm("\(name).norm2", width: c.width, in: &layout)
    feedForward = FeedForward("\(name).mlp", width: c.width, hidden: c.hidden, in: &layout)
  }

  /// The values kept for the backward pass.
  package struct Trace {
    package let norm1: LayerNorm.Trace
    package let attention: Attention.Trace
    package let norm2: LayerNorm.Trace
    /// fc1's output [R, M]; nil if there is no backward pass.
    package let hidden: Matrix?
  }

  /// The slots of a trace of `images` images. Every trained block has one; all frozen blocks share one.
  package struct TracePlan: Sendable {
    private let norm1: LayerNorm.TracePlan
    private let attention: Attention.TracePlan
    private let norm2: LayerNorm.TracePlan
    private let hidden: Slot?
    private let tokens: Int

    /// Without `keepsHidden` the block only runs forward: GELU's output overwrites fc1's.
    package init(images: Int, keepsHidden: Bool = true, _ c: Shape, in layout: inout Layout) {
      norm1 = LayerNorm.TracePlan(rows: images * c.tokens, width: c.width, in: &layout)
      attention = Attention.TracePlan(
        images: images, tokens: c.tokens, width: c.width, heads: c.heads, in: &layout)
      norm2 = LayerNorm.TracePlan(rows: images * c.tokens, width: c.width, in: &layout)
      hidden = keepsHidden ? layout.add("hidden", images * c.tokens, c.hidden) : nil
      tokens = c.tokens
    }

    /// Returns the part of the trace for a range of images.
    package func trace(_ storage: borrowing Storage, images: Range<Int>) -> Trace {
      let rows = images.lowerBound * tokens..<images.upperBound * tokens
      return Trace(
        norm1: norm1.trace(storage, rows: rows), attention: attention.trace(storage, images: images),
        norm2: norm2.trace(storage, rows: rows), hidden: hidden.map { storage[$0].rows(rows) })
    }
  }

  /// The work space of a chunk of images; its content is not kept between blocks.
  package struct Scratch {
    /// The output of a normalisation, which is the input of a branch [R, D].
    package let branch: Matrix
    /// The gradient of `branch` [R, D].
    package let gradient: Matrix
    package let attention: Attention.Scratch
    package let feedForward: FeedForward.Scratch
  }

  /// The slots of the work space of a chunk of `images` images.
  package struct ScratchPlan: Sendable {
    private let branch, gradient, qkv, context, attention, activated, hidden: Slot
    private let tokens: Int

    package init(images: Int, _ c: Shape, in layout: inout Layout) {
      let rows = images * c.tokens
      branch = layout.add("branch", rows, c.width)
      gradient = layout.add("gradient", rows, c.width)
      qkv = layout.add("qkv gradient", rows, 3 * c.width)
      context = layout.add("context gradient", rows, c.width)
      attention = layout.add("attention gradient", c.tokens, c.tokens)
      activated = layout.add("activated", rows, c.hidden)
      hidden = layout.add("hidden gradient", rows, c.hidden)
      tokens = c.tokens
    }

    package func scratch(_ storage: borrowing Storage, images: Int) -> Scratch {
      let rows = 0..<images * tokens
      return Scratch(
        branch: storage[branch].rows(rows), gradient: storage[gradient].rows(rows),
        attention: Attention.Scratch(
          qkv: storage[qkv].rows(rows), context: storage[context].rows(rows), attention: storage[attention]),
        feedForward: FeedForward.Scratch(
          activated: storage[activated].rows(rows), gradient: storage[hidden].rows(rows)))
    }
  }

  /// Replaces x with the block's output, in place.                             x [R, D]
  package func forward(
    _ x: Matrix, _ trace: Trace, _ scratch: Scratch, _ parameters: borrowing Storage
  ) {
    norm1.forward(x, into: scratch.branch, trace.norm1, parameters)
    attention.forward(scratch.branch, adding: x, trace.attention, parameters)
    norm2.forward(x, into: scratch.branch, trace.norm2, parameters)
    let hidden = trace.hidden ?? scratch.feedForward.activated.rows(0..<x.rows)
    feedForward.forward(scratch.branch, adding: x, hidden: hidden, scratch.feedForward, parameters)
  }

  /// Replaces the gradient of the output with that of the input, in place.     dx [R, D]
  ///
  /// Without `throughInput` the gradient of the input is incomplete, because no lower layer is trained.
  package func backward(
    _ dx: Matrix, _ trace: Trace, _ scratch: Scratch, throughInput: Bool, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage
  ) {
    guard let hidden = trace.hidden else { preconditionFailure("a block that kept nothing cannot go back") }
    norm2.output(trace.norm2, into: scratch.branch, parameters)
    feedForward.backward(
      dx, input: scratch.branch, into: scratch.gradient, hidden: hidden, scratch.feedForward,
      parameters,
      gradients)
    norm2.backward(scratch.gradient, trace.norm2, adding: dx, parameters, gradients)
    norm1.output(trace.norm1, into: scratch.branch, parameters)
    attention.backward(
      dx, input: scratch.branch, into: scratch.gradient, trace.attention, scratch.attention, parameters,
      gradients)
    norm1.backward(scratch.gradient, trace.norm1, adding: throughInput ? dx : nil, parameters, gradients)
  }
}
