import Engine

/// A vision transformer's way from images to class tokens (arXiv 2010.11929), in the order of timm's.
///
/// n images (any number), P patches, T = 1 + P tokens, D = width, H heads of d = D / H, M = hidden width.
extension EncoderGraph {
  /// Class tokens [n, D] behind the last block, from images [n, C, H, W].
  mutating func add(_ encoder: VisionTransformer, _ images: String) -> String {
    var x = add(encoder.stem, images)
    for block in encoder.layers { x = add(block, x) }
    graph.scope = "pool"
    return graph.add(.gather, x, graph.index(0), attributes: [.integer("axis", 1)])
  }

  /// Tokens [n, T, D] of images [n, C, H, W].
  private mutating func add(_ stem: PatchEmbedding, _ images: String) -> String {
    let c = stem.configuration
    enter(stem.projection.weight)
    guard let bias = stem.projection.bias else { preconditionFailure("a patch projection without bias") }
    let sides = [c.patch, c.patch]
    let grid = graph.add(
      .conv, images, name(stem.projection.weight), name(bias),
      attributes: [.integers("kernel_shape", sides), .integers("strides", sides)])
    let columns = graph.add(.reshape, grid, graph.shape(0, c.width, c.patches))
    let patches = graph.add(.transpose, columns, attributes: [.integers("perm", [0, 2, 1])])
    graph.scope = "tokens"
    let batch = graph.add(.shape, images, attributes: [.integer("start", 0), .integer("end", 1)])
    let sizes = graph.add(.concat, batch, graph.shape(1, c.width), attributes: [.integer("axis", 0)])
    let classTokens = graph.add(.expand, name(stem.classToken), sizes)
    let tokens = graph.add(.concat, classTokens, patches, attributes: [.integer("axis", 1)])
    return graph.add(.add, tokens, name(stem.positions))
  }

  /// x + attention(norm1(x)), then x + mlp(norm2(x)).                 x [n, T, D]
  private mutating func add(_ block: EncoderBlock, _ x: String) -> String {
    let attended = add(block.attention, add(block.norm1, x))
    let middle = graph.add(.add, x, attended)
    let fed = add(block.feedForward, add(block.norm2, middle))
    return graph.add(.add, middle, fed)
  }

  /// proj(softmax(q·kᵀ / √d)·v), heads side by side.                  x [n, T, D]
  private mutating func add(_ attention: Attention, _ x: String) -> String {
    let (tokens, width, heads) = (attention.tokens, attention.width, attention.heads)
    let size = width / heads
    let qkv = graph.add(.reshape, add(attention.qkv, x), graph.shape(0, tokens, 3, heads, size))
    let parts = graph.add(.transpose, qkv, attributes: [.integers("perm", [2, 0, 3, 1, 4])])
    func part(_ number: Int, _ graph: inout ONNXGraph) -> String {
      graph.add(.gather, parts, graph.index(number), attributes: [.integer("axis", 0)])
    }
    let (q, k, v) = (part(0, &graph), part(1, &graph), part(2, &graph))
    let keys = graph.add(.transpose, k, attributes: [.integers("perm", [0, 1, 3, 2])])
    let products = graph.add(.matMul, q, keys)
    let scores = graph.add(.mul, products, graph.constant(1 / Float(size).squareRoot()))
    let weights = graph.add(.softmax, scores, attributes: [.integer("axis", -1)])
    let mixed = graph.add(.matMul, weights, v)
    let beside = graph.add(.transpose, mixed, attributes: [.integers("perm", [0, 2, 1, 3])])
    return add(attention.projection, graph.add(.reshape, beside, graph.shape(0, tokens, width)))
  }

  /// fc2(GELU(fc1(x))), GELU(h) = h·(1 + erf(h / √2)) / 2 (arXiv 1606.08415), which opset 17 has no operator
  /// for.                                                             x [n, T, D], h [n, T, M]
  private mutating func add(_ feedForward: FeedForward, _ x: String) -> String {
    let hidden = add(feedForward.fc1, x)
    let ratio = graph.add(.div, hidden, graph.constant(Float(2).squareRoot()))
    let error = graph.add(.erf, ratio)
    let sum = graph.add(.add, error, graph.constant(1))
    let product = graph.add(.mul, hidden, sum)
    return add(feedForward.fc2, graph.add(.mul, product, graph.constant(0.5)))
  }
}
