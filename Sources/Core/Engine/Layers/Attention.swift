/// Multi-head self-attention (arXiv 1706.03762) within each image.
///
/// n images, T tokens, D = width, H heads of d = D / H; rows are images x tokens.
package struct Attention: Sendable {
  package let qkv: Linear
  package let projection: Linear
  package let heads: Int
  /// The number of tokens T of an image; the parameters are those for any number.
  package private(set) var tokens: Int
  package let width: Int

  /// Returns the attention of the same parameters among another number of tokens.
  package func among(_ tokens: Int) -> Attention {
    var attention = self
    attention.tokens = tokens
    return attention
  }

  /// Adds `name.qkv` and `name.proj`, as named in timm.
  package init(_ name: String, tokens: Int, width: Int, heads: Int, in layout: inout Layout) {
    precondition(width % heads == 0, "a width of \(width) for \(heads) heads")
    qkv = Linear("\(name).qkv", inputs: width, outputs: 3 * width, in: &layout)
    projection = Linear("\(name).proj", inputs: width, outputs: width, in: &layout)
    self.heads = heads
    self.tokens = tokens
    self.width = width
  }

  /// The values kept for the backward pass: queries, keys and values [n·T, 3D], attention [n·H·T, T], concatenated
  /// results of the heads [n·T, D].
  package struct Trace {
    package let qkv: Matrix
    package let attention: Matrix
    package let context: Matrix
  }

  /// The slots of a trace of `images` images.
  package struct TracePlan: Sendable {
    private let qkv: Slot
    private let attention: Slot
    private let context: Slot
    private let (heads, tokens): (Int, Int)

    package init(images: Int, tokens: Int, width: Int, heads: Int, in layout: inout Layout) {
      qkv = layout.add("qkv", images * tokens, 3 * width)
      attention = layout.add("attention", images * heads * tokens, tokens)
      context = layout.add("context", images * tokens, width)
      (self.heads, self.tokens) = (heads, tokens)
    }

    package func trace(_ storage: borrowing Storage, images: Range<Int>) -> Trace {
      let rows = images.lowerBound * tokens..<images.upperBound * tokens
      return Trace(
        qkv: storage[qkv].rows(rows),
        attention: storage[attention].rows(rows.lowerBound * heads..<rows.upperBound * heads),
        context: storage[context].rows(rows))
    }
  }

  /// The gradients of qkv [n·T, 3D], of the context [n·T, D], of one head's attention [T, T].
  package struct Scratch {
    package let qkv: Matrix
    package let context: Matrix
    package let attention: Matrix
  }

  /// y += proj(softmax(q·kᵀ / √d)·v)                                  x, y [n·T, D]
  package func forward(_ x: Matrix, adding y: Matrix, _ trace: Trace, _ parameters: borrowing Storage) {
    qkv.forward(x, into: trace.qkv, parameters)
    eachHead(trace) { head in
      Products.product(head.queries, head.keys.transposed, into: head.attention, scale: scale)
      Softmax.forward(head.attention)
      Products.product(head.attention, head.values, into: head.context)
    }
    projection.forward(trace.context, adding: y, parameters)
  }

  /// Computes dx [n·T, D] from dy [n·T, D]; x is the input of the forward pass.
  package func backward(
    _ dy: Matrix, input x: Matrix, into dx: Matrix, _ trace: Trace, _ scratch: Scratch,
    _ parameters: borrowing Storage, _ gradients: borrowing Storage
  ) {
    let dContext = scratch.context.rows(0..<dy.rows)
    let dQKV = scratch.qkv.rows(0..<dy.rows)
    projection.backward(dy, input: trace.context, into: dContext, parameters, gradients)
    eachHead(trace) { head in
      let rows = head.image * tokens..<(head.image + 1) * tokens
      let d = dContext.rows(rows).columns(columns(head.head))
      let part = dQKV.rows(rows)
      Products.product(head.attention.transposed, d, into: part.columns(columns(2 * heads + head.head)))
      Products.product(d, head.values.transposed, into: scratch.attention)
      Softmax.backward(scratch.attention, output: head.attention)
      Products.product(scratch.attention, head.keys, into: part.columns(columns(head.head)), scale: scale)
      Products.product(
        scratch.attention.transposed, head.queries, into: part.columns(columns(heads + head.head)),
        scale: scale)
    }
    qkv.backward(dQKV, input: x, into: dx, parameters, gradients)
  }

  private var scale: Float { 1 / Float(width / heads).squareRoot() }

  /// Returns the d columns of the k-th head in a matrix of concatenated heads.
  private func columns(_ k: Int) -> Range<Int> { k * (width / heads)..<(k + 1) * (width / heads) }

  /// One head of one image: views of the trace.
  private struct HeadView {
    let image: Int
    let head: Int
    let queries: Matrix
    let keys: Matrix
    let values: Matrix
    let attention: Matrix
    let context: Matrix
  }

  @inline(__always)
  private func eachHead(_ trace: Trace, _ body: (HeadView) -> Void) {
    for image in 0..<trace.qkv.rows / tokens {
      let rows = image * tokens..<(image + 1) * tokens
      let qkv = trace.qkv.rows(rows)
      let context = trace.context.rows(rows)
      for head in 0..<heads {
        let first = (image * heads + head) * tokens
        body(
          HeadView(
            image: image, head: head, queries: qkv.columns(columns(head)),
            keys: qkv.columns(columns(heads + head)), values: qkv.columns(columns(2 * heads + head)),
            attention: trace.attention.rows(first..<first + tokens), context: context.columns(columns(head))))
      }
    }
  }
}
