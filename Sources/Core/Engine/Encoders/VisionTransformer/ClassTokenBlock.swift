/// The last block of an encoder, computed only for the class token. The result is exact; the cost is little more than
/// that of the first normalisation.
///
/// n images, T tokens, D = width, M = hidden width, R = n·T rows.
package struct ClassTokenBlock: Sendable {
  package let block: EncoderBlock
  private let attention: ClassTokenAttention

  package init(_ block: EncoderBlock) {
    self.block = block
    attention = ClassTokenAttention(block.attention)
  }

  /// The values kept for the backward pass: the first normalisation of all tokens, everything else for one token.
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

    /// Returns the part of the trace for a range of images.
    package func trace(_ storage: borrowing Storage, images: Range<Int>) -> Trace {
      Trace(
        norm1: norm1.trace(storage, rows: images.lowerBound * tokens..<images.upperBound * tokens),
        attention: attention.trace(storage, images: images), norm2: norm2.trace(storage, rows: images),
        hidden: storage[hidden].rows(images))
    }
  }

  /// Computes the block's output for the class tokens; x is unchanged.             x [R, D], tokens [n, D]
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

  /// Computes the gradient dx of the input from the gradient d of the class tokens, which is overwritten.
  /// dx is nil if no lower layer is trained.                                     d [n, D], dx [R, D]
  ///
  /// `gradient` is a trace for the same number of images, used as work space.
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

/// Multi-head self-attention for the class token's output only. Forward and backward passes are exact and do not
/// compute keys and values.
///
/// n images, T tokens, D = width, H heads of d = D / H; rows of y are images x tokens, the class token first.
///
/// A score is q·k_t = q·(W_K y_t + b_K) = (W_Kᵀ q)·y_t + q·b_K. The last term is equal for all tokens and cancels in
/// softmax, so only u = W_Kᵀ q is needed, and the gradient of b_K is zero. A head's result is Σ a_t (W_V y_t + b_V) =
/// W_V (Σ a_t y_t) + b_V, because the a_t sum to 1.
package struct ClassTokenAttention: Sendable {
  /// The attention with the parameters.
  package let attention: Attention

  package init(_ attention: Attention) { self.attention = attention }

  /// The values kept for the backward pass: queries [n, D], u / √d [n·H, D], attention [n·H, T], Σ a_t y_t [n·H, D],
  /// concatenated results of the heads [n, D].
  package struct Trace {
    let queries, directions, attention, mixtures, context: Matrix
  }

  /// The slots of a trace of `images` images.
  package struct TracePlan: Sendable {
    private let queries, directions, attention, mixtures, context: Slot
    private let heads: Int

    package init(images: Int, tokens: Int, width: Int, heads: Int, in layout: inout Layout) {
      queries = layout.add("class queries", images, width)
      directions = layout.add("class directions", images * heads, width)
      attention = layout.add("class attention", images * heads, tokens)
      mixtures = layout.add("class mixtures", images * heads, width)
      context = layout.add("class context", images, width)
      self.heads = heads
    }

    package func trace(_ storage: borrowing Storage, images: Range<Int>) -> Trace {
      let rows = images.lowerBound * heads..<images.upperBound * heads
      return Trace(
        queries: storage[queries].rows(images), directions: storage[directions].rows(rows),
        attention: storage[attention].rows(rows), mixtures: storage[mixtures].rows(rows),
        context: storage[context].rows(images))
    }
  }

  /// y_out [n, D] += proj(heads' results) for the class tokens of y [n·T, D].
  package func forward(_ y: Matrix, adding tokens: Matrix, _ trace: Trace, _ parameters: borrowing Storage) {
    let weights = Weights(attention, parameters)
    Products.product(classTokens(y), weights.query.transposed, into: trace.queries)
    Elementwise.addBias(weights.queryBias, to: trace.queries)
    for head in 0..<attention.heads {
      Products.product(
        trace.queries.columns(columns(head)), weights.key.rows(columns(head)),
        into: ofHead(head, trace.directions), scale: scale)
    }
    for image in 0..<tokens.rows {
      let (rows, y) = (ofImage(image), tokensOf(image, y))
      let scores = trace.attention.rows(rows)
      Products.product(trace.directions.rows(rows), y.transposed, into: scores)
      Softmax.forward(scores)
      Products.product(scores, y, into: trace.mixtures.rows(rows))
    }
    for head in 0..<attention.heads {
      Products.product(
        ofHead(head, trace.mixtures), weights.value.rows(columns(head)).transposed,
        into: trace.context.columns(columns(head)))
    }
    Elementwise.addBias(weights.valueBias, to: trace.context)
    attention.projection.forward(trace.context, adding: tokens, parameters)
  }

  /// Computes dy [n·T, D] from the class tokens' gradient d [n, D]; y is the input of the forward pass.
  ///
  /// `gradient` is a trace for the same number of images, whose memory receives the gradients of the trace's values.
  package func backward(
    _ d: Matrix, input y: Matrix, into dy: Matrix, _ trace: Trace, gradient: Trace,
    _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    let weights = Weights(attention, parameters)
    let changes = gradients.isEmpty ? nil : Weights(attention, gradients)
    attention.projection.backward(d, input: trace.context, into: gradient.context, parameters, gradients)
    if let changes { Elementwise.addColumnSums(of: gradient.context, to: changes.valueBias) }
    for head in 0..<attention.heads {
      let (rows, dContext) = (columns(head), gradient.context.columns(columns(head)))
      if let changes {
        Products.product(
          dContext.transposed, ofHead(head, trace.mixtures), into: changes.value.rows(rows), keep: 1)
      }
      Products.product(dContext, weights.value.rows(rows), into: ofHead(head, gradient.mixtures))
    }
    for image in 0..<d.rows { backward(image, y, into: dy, trace, gradient) }
    for head in 0..<attention.heads {
      let (rows, dDirections) = (columns(head), ofHead(head, gradient.directions))
      Products.product(
        dDirections, weights.key.rows(rows).transposed, into: gradient.queries.columns(rows), scale: scale)
      if let changes {
        Products.product(
          trace.queries.columns(rows).transposed, dDirections, into: changes.key.rows(rows), scale: scale,
          keep: 1)
      }
    }
    if let changes {
      Products.product(gradient.queries.transposed, classTokens(y), into: changes.query, keep: 1)
      Elementwise.addColumnSums(of: gradient.queries, to: changes.queryBias)
    }
    Products.product(gradient.queries, weights.query, into: classTokens(dy), keep: 1)
  }

  /// Computes the backward pass of one image through the mixture, the softmax and the scores.
  private func backward(_ image: Int, _ y: Matrix, into dy: Matrix, _ trace: Trace, _ gradient: Trace) {
    let rows = ofImage(image)
    let (y, dy) = (tokensOf(image, y), tokensOf(image, dy))
    let (a, da) = (trace.attention.rows(rows), gradient.attention.rows(rows))
    Products.product(gradient.mixtures.rows(rows), y.transposed, into: da)
    Products.product(a.transposed, gradient.mixtures.rows(rows), into: dy)
    Softmax.backward(da, output: a)
    Products.product(da, y, into: gradient.directions.rows(rows))
    Products.product(da.transposed, trace.directions.rows(rows), into: dy, keep: 1)
  }

  /// The three parts of timm's combined weight [3D, D] and bias [3D].
  private struct Weights {
    let query, key, value, queryBias, valueBias: Matrix

    init(_ attention: Attention, _ storage: borrowing Storage) {
      guard let slot = attention.qkv.bias else { preconditionFailure("timm's attention has biases") }
      let (weight, bias, width) = (storage[attention.qkv.weight], storage[slot], attention.width)
      query = weight.rows(0..<width)
      key = weight.rows(width..<2 * width)
      value = weight.rows(2 * width..<3 * width)
      queryBias = bias.columns(0..<width)
      valueBias = bias.columns(2 * width..<3 * width)
    }
  }

  private var scale: Float { 1 / Float(attention.width / attention.heads).squareRoot() }

  private func columns(_ head: Int) -> Range<Int> {
    let size = attention.width / attention.heads
    return head * size..<(head + 1) * size
  }

  /// Returns the rows of an image in a matrix of images x heads.
  private func ofImage(_ image: Int) -> Range<Int> {
    image * attention.heads..<(image + 1) * attention.heads
  }

  /// Returns the rows of a head for all images in a matrix of images x heads.
  private func ofHead(_ head: Int, _ x: Matrix) -> Matrix {
    Matrix(
      x.row(head), rows: x.rows / attention.heads, columns: x.columns, stride: attention.heads * x.stride)
  }

  private func tokensOf(_ image: Int, _ y: Matrix) -> Matrix {
    y.rows(image * attention.tokens..<(image + 1) * attention.tokens)
  }

  /// Returns the class tokens of all images.
  private func classTokens(_ y: Matrix) -> Matrix {
    Matrix(y.start, rows: y.rows / attention.tokens, columns: y.columns, stride: attention.tokens * y.stride)
  }
}
