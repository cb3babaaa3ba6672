/// A pre-norm transformer block: x += attention(norm1(x)); x += mlp(norm2(x)).
///
/// n images, T tokens, D = width, M = hidden width, R = n·T rows.
package struct EncoderBlock: Sendable {
  package let norm1: LayerNorm
  package private(set) var attention: Attention
  package let norm2: LayerNorm
  package let feedForward: FeedForward

  /// Returns the block of the same parameters for images of another number of tokens.
  package func among(_ tokens: Int) -> EncoderBlock {
    var block = self
    block.attention = attention.among(tokens)
    return block
  }

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
    /// The outputs of attention and MLP before they are added, where a penalty asks for them [R, D] each.
    package let branches: (attention: Matrix, feedForward: Matrix)?

    var withoutBranches: Trace {
      Trace(norm1: norm1, attention: attention, norm2: norm2, hidden: hidden, branches: nil)
    }
  }

  /// The slots of a trace of `images` images. Every trained block has one; all frozen blocks share one.
  package struct TracePlan: Sendable {
    private let norm1: LayerNorm.TracePlan
    private let attention: Attention.TracePlan
    private let norm2: LayerNorm.TracePlan
    private let hidden: Slot?
    private let branches: (attention: Slot, feedForward: Slot)?
    private let tokens: Int

    /// Without `keepsHidden` the block only runs forward: GELU's output overwrites fc1's. With `keepsBranches` the
    /// trace keeps the outputs of the residual branches.
    package init(
      images: Int, keepsHidden: Bool = true, keepsBranches: Bool = false, _ c: Shape, in layout: inout Layout
    ) {
      norm1 = LayerNorm.TracePlan(rows: images * c.tokens, width: c.width, in: &layout)
      attention = Attention.TracePlan(
        images: images, tokens: c.tokens, width: c.width, heads: c.heads, in: &layout)
      norm2 = LayerNorm.TracePlan(rows: images * c.tokens, width: c.width, in: &layout)
      hidden = keepsHidden ? layout.add("hidden", images * c.tokens, c.hidden) : nil
      branches =
        keepsBranches
        ? (
          layout.add("attention output", images * c.tokens, c.width),
          layout.add("feed-forward output", images * c.tokens, c.width)
        ) : nil
      tokens = c.tokens
    }

    /// Returns the part of the trace for a range of images.
    package func trace(_ storage: borrowing Storage, images: Range<Int>) -> Trace {
      let rows = images.lowerBound * tokens..<images.upperBound * tokens
      return Trace(
        norm1: norm1.trace(storage, rows: rows), attention: attention.trace(storage, images: images),
        norm2: norm2.trace(storage, rows: rows), hidden: hidden.map { storage[$0].rows(rows) },
        branches: branches.map { (storage[$0.attention].rows(rows), storage[$0.feedForward].rows(rows)) })
    }
  }

  /// The work space of a chunk of images; its content is not kept between blocks.
  package struct Scratch {
    /// The output of a normalisation, which is the input of a branch [R, D].
    package let branch: Matrix
    /// The gradient of `branch` [R, D].
    package let gradient: Matrix
    /// The gradient of a branch's output, where a penalty adds to it [R, D].
    package let branchGradient: Matrix?
    package let attention: Attention.Scratch
    package let feedForward: FeedForward.Scratch
  }

  /// The slots of the work space of a chunk of `images` images.
  package struct ScratchPlan: Sendable {
    private let branch, gradient, qkv, context, attention, activated, hidden: Slot
    private let branchGradient: Slot?
    private let tokens: Int

    package init(images: Int, keepsBranches: Bool = false, _ c: Shape, in layout: inout Layout) {
      let rows = images * c.tokens
      branchGradient = keepsBranches ? layout.add("branch gradient", rows, c.width) : nil
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
        branchGradient: branchGradient.map { storage[$0].rows(rows) },
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
    add(to: x, keeping: trace.branches?.attention) {
      attention.forward(scratch.branch, adding: $0, trace.attention, parameters)
    }
    norm2.forward(x, into: scratch.branch, trace.norm2, parameters)
    let hidden = trace.hidden ?? scratch.feedForward.activated.rows(0..<x.rows)
    add(to: x, keeping: trace.branches?.feedForward) {
      feedForward.forward(scratch.branch, adding: $0, hidden: hidden, scratch.feedForward, parameters)
    }
  }

  /// Adds a residual branch's output to x; `output`, where there is one, keeps it.
  private func add(to x: Matrix, keeping output: Matrix?, _ forward: (Matrix) -> Void) {
    guard let output else { return forward(x) }
    Elementwise.fill(output, 0)
    forward(output)
    Elementwise.add(output, to: x)
  }

  /// Replaces the gradient of the output with that of the input, in place.     dx [R, D]
  ///
  /// Without `throughInput` the gradient of the input is incomplete, because no lower layer is trained.
  /// `penalise(r, dr)` adds the gradients of penalties on a residual branch's output r to dr; it is called for the
  /// outputs in the trace.
  package func backward(
    _ dx: Matrix, _ trace: Trace, _ scratch: Scratch, throughInput: Bool, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage, penalise: (Matrix, Matrix) -> Void = { _, _ in }
  ) {
    /// The gradient of a branch's output: that of the block's output, and what penalties add.
    func gradient(of branch: Matrix?) -> Matrix {
      guard let branch, let gradient = scratch.branchGradient else { return dx }
      Elementwise.copy(dx, to: gradient)
      penalise(branch, gradient)
      return gradient
    }
    guard let hidden = trace.hidden else { preconditionFailure("a block that kept nothing cannot go back") }
    norm2.output(trace.norm2, into: scratch.branch, parameters)
    feedForward.backward(
      gradient(of: trace.branches?.feedForward), input: scratch.branch, into: scratch.gradient,
      hidden: hidden, scratch.feedForward,
      parameters,
      gradients)
    norm2.backward(scratch.gradient, trace.norm2, adding: dx, parameters, gradients)
    norm1.output(trace.norm1, into: scratch.branch, parameters)
    attention.backward(
      gradient(of: trace.branches?.attention), input: scratch.branch, into: scratch.gradient, trace.attention,
      scratch.attention, parameters, gradients)
    norm1.backward(scratch.gradient, trace.norm1, adding: throughInput ? dx : nil, parameters, gradients)
  }
}
