import Engine

/// The golden cases of single layers: output, gradient of the input, gradients of the parameters.
enum LayerCases {
  static let operations: [String: Conformance.Operation] = [
    "layer_norm": layerNorm, "attention": attention, "mlp": feedForward, "vit_block": block, "head": head,
    "stem": stem, "basic_block_kinetic": basicBlock,
  ]

  private static func layerNorm(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (rows, width) = try rowsAndWidth(tensors)
    let epsilon = Float(try golden.number("eps"))
    var (layout, work) = (Layout(), Layout())
    let norm = LayerNorm(LayerFixture.name, width: width, epsilon: epsilon, in: &layout)
    let places = Places(rows: rows, width: width, in: &work)
    let plan = LayerNorm.TracePlan(rows: rows, width: width, in: &work)
    let fixture = try LayerFixture(layout, work: work, tensors)
    try places.fill(fixture)
    let trace = fixture.withWork { plan.trace($0, rows: 0..<rows) }
    norm.forward(fixture[places.x], into: fixture[places.y], trace, fixture.parameters)
    norm.backward(
      fixture[places.dy], trace, adding: fixture[places.dx], fixture.parameters, fixture.gradients)
    return try places.compare(fixture)
  }

  private static func attention(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let shape = try blockShape(tensors, heads: golden.integer("heads"), hidden: 1)
    var (layout, work) = (Layout(), Layout())
    let attention = Attention(
      LayerFixture.name, tokens: shape.tokens, width: shape.width, heads: shape.heads, in: &layout)
    let plan = EncoderBlock.TracePlan(images: shape.images, shape.block, in: &work)
    let scratchPlan = EncoderBlock.ScratchPlan(images: shape.images, shape.block, in: &work)
    let places = Places(rows: shape.rows, width: shape.width, in: &work)
    let fixture = try LayerFixture(layout, work: work, tensors)
    try places.fill(fixture)
    let trace = fixture.withWork { plan.trace($0, images: 0..<shape.images).attention }
    let scratch = fixture.withWork { scratchPlan.scratch($0, images: shape.images).attention }
    attention.forward(fixture[places.x], adding: fixture[places.y], trace, fixture.parameters)
    attention.backward(
      fixture[places.dy], input: fixture[places.x], into: fixture[places.dx], trace, scratch,
      fixture.parameters, fixture.gradients)
    return try places.compare(fixture)
  }

  private static func feedForward(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let shape = try blockShape(tensors, heads: 1, hidden: rows(of: "param.fc1.weight", tensors))
    var (layout, work) = (Layout(), Layout())
    let mlp = FeedForward(LayerFixture.name, width: shape.width, hidden: shape.hidden, in: &layout)
    let scratchPlan = EncoderBlock.ScratchPlan(images: shape.images, shape.block, in: &work)
    let hidden = work.add("hidden", shape.rows, shape.hidden)
    let places = Places(rows: shape.rows, width: shape.width, in: &work)
    let fixture = try LayerFixture(layout, work: work, tensors)
    try places.fill(fixture)
    let scratch = fixture.withWork { scratchPlan.scratch($0, images: shape.images).feedForward }
    mlp.forward(
      fixture[places.x], adding: fixture[places.y], hidden: fixture[hidden], scratch, fixture.parameters)
    mlp.backward(
      fixture[places.dy], input: fixture[places.x], into: fixture[places.dx], hidden: fixture[hidden],
      scratch,
      fixture.parameters, fixture.gradients)
    return try places.compare(fixture)
  }

  private static func block(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let shape = try blockShape(
      tensors, heads: golden.integer("heads"), hidden: rows(of: "param.mlp.fc1.weight", tensors))
    var (layout, work) = (Layout(), Layout())
    let block = EncoderBlock(LayerFixture.name, shape.block, in: &layout)
    let plan = EncoderBlock.TracePlan(images: shape.images, shape.block, in: &work)
    let scratchPlan = EncoderBlock.ScratchPlan(images: shape.images, shape.block, in: &work)
    let places = Places(rows: shape.rows, width: shape.width, in: &work)
    let fixture = try LayerFixture(layout, work: work, tensors)
    try places.fill(fixture)
    let trace = fixture.withWork { plan.trace($0, images: 0..<shape.images) }
    let scratch = fixture.withWork { scratchPlan.scratch($0, images: shape.images) }
    // The block works in place.
    Elementwise.copy(fixture[places.x], to: fixture[places.y])
    Elementwise.copy(fixture[places.dy], to: fixture[places.dx])
    block.forward(fixture[places.y], trace, scratch, fixture.parameters)
    block.backward(
      fixture[places.dx], trace, scratch, throughInput: true, fixture.parameters, fixture.gradients)
    return try places.compare(fixture)
  }

  private static func head(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let widths = try golden.integers("dims")
    let (rows, width) = try rowsAndWidth(tensors)
    guard widths.count >= 2, widths[0] == width else { throw ConformanceError("dims \(widths) for \(width)") }
    var (layout, work) = (Layout(), Layout())
    let hasBias = tensors.has("param.0.bias")
    let head = ProjectionHead(LayerFixture.name, widths: widths, bias: hasBias, in: &layout)
    let plan = ProjectionHead.TracePlan(head, rows: rows, in: &work)
    let (x, dx) = (work.add("x", rows, width), work.add("dx", rows, width))
    let dy = work.add("dy", rows, widths[widths.count - 1])
    let fixture = try LayerFixture(layout, work: work, tensors)
    try fixture.fill(fixture[x], "in.x")
    try fixture.fill(fixture[dy], "in.dy")
    let trace = fixture.withWork { plan.trace($0) }
    head.forward(fixture[x], trace, fixture.parameters)
    try fixture.compare("out.y", trace.output)
    head.backward(
      fixture[dy], input: fixture[x], into: fixture[dx], trace, fixture.parameters, fixture.gradients)
    try fixture.compare("out.dx", fixture[dx])
    return try fixture.finish()
  }

  private static func stem(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let images = try tensors("in.images").shape
    let y = try tensors("out.y").shape
    guard images.count == 4, images[2] == images[3], y.count == 3 else {
      throw ConformanceError("in.images \(images), out.y \(y)")
    }
    let c = ViTConfiguration(
      images: ImageInput(side: images[2], channels: images[1]), patch: try golden.integer("patch"),
      width: y[2], depth: 1, heads: 1)
    var (layout, work) = (Layout(), Layout())
    let stem = PatchEmbedding(c, in: &layout)
    let pixels = work.add("images", images[0], c.images.count)
    let patches = work.add("patches", images[0] * c.patches, c.patchSize)
    let (tokens, dy) = (work.add("y", y[0] * y[1], y[2]), work.add("dy", y[0] * y[1], y[2]))
    let fixture = try LayerFixture(layout, work: work, tensors)
    try fixture.fill(fixture[pixels], "in.images")
    try fixture.fill(fixture[dy], "in.dy")
    for image in 0..<images[0] {
      let rows = image * c.patches..<(image + 1) * c.patches
      stem.cut(fixture[pixels].row(image), into: fixture[patches].rows(rows))
    }
    stem.forward(fixture[patches], into: fixture[tokens], fixture.parameters)
    stem.backward(fixture[dy], patches: fixture[patches], fixture.parameters, fixture.gradients)
    try fixture.compare("out.y", fixture[tokens])
    return try fixture.finish()
  }

  /// A residual block of a ResNet with batch statistics and the kinetic term, as an encoder of one block: each pixel of
  /// its map is a cell of the grid, so that the pooled features are the block's output.
  private static func basicBlock(_ golden: GoldenCase, _ tensors: GoldenTensors) throws -> Comparison {
    let (x, dy, stride) = try (tensors("in.x"), tensors("in.dy"), golden.integer("stride"))
    let (from, to) = (x.shape, dy.shape)
    guard from.count == 4, to.count == 4, (from + to).allSatisfy({ $0 > 0 }), stride > 0,
      from[2] == from[3], to[2] == to[3], from[0] == to[0], to[2] == (from[2] + stride - 1) / stride
    else { throw ConformanceError("in.x \(from), in.dy \(to) with a stride of \(stride)") }
    let (batch, side) = (from[0], from[2])
    var (layout, work, unused) = (Layout(), Layout(), Layout())
    var shape = ResNetConfiguration(images: ImageInput(side: side, channels: 1), width: to[1], depth: 1)
    shape.grid = to[2]
    let block = BasicBlock(
      LayerFixture.name, inputs: from[1], outputs: to[1], stride: stride, side: side, in: &layout)
    // The stem does not run, because the block's input is given.
    let stem = BasicBlock.Unit(
      "stem", "norm", inputs: 1, outputs: from[1], kernel: 1, stride: 1, side: side, in: &unused)
    let (y, d) = (work.add("y", batch, block.outputSize), work.add("dy", batch, block.outputSize))
    let fixture = try LayerFixture(layout, work: work, tensors)
    try fixture.fill(fixture[d], "in.dy")
    let settings = PassSettings(
      prefix: 0, trainedBlocks: [0], trainsStem: false, views: 1, batch: batch, chunk: 2, keptRows: batch,
      branchPenalties: [Kinetic(tau: Float(try golden.number("tau")))])
    let pass = ResNetPass(
      ResNet(shape, stem: stem, layers: [[block]]), settings, workers: Workers(2), keepsInputGradient: true)
    let images = Minibatch(
      GivenRows(count: batch, views: [x.values], givesFeatures: true), first: batch)
    let gradients = StorageBox([layout.range])
    pass.forward(fixture.parameters, images, into: fixture[y], branches: [])
    try fixture.compare("out.y", fixture[y])
    let terms = pass.backward(
      fixture[d], fixture.parameters, images, pooled: fixture[y], into: [gradients])
    fixture.gradients.copy(from: gradients.storage)
    try fixture.compare("out.kinetic", terms.map(\.value))
    if let dx = pass.inputGradient { try fixture.compare("out.dx", dx) }
    return try fixture.finish()
  }

  /// The input, the output and their gradients, each [rows, width].
  private struct Places {
    let x, y, dx, dy: Slot

    init(rows: Int, width: Int, in work: inout Layout) {
      (x, y) = (work.add("x", rows, width), work.add("y", rows, width))
      (dx, dy) = (work.add("dx", rows, width), work.add("dy", rows, width))
    }

    func fill(_ fixture: LayerFixture) throws {
      try fixture.fill(fixture[x], "in.x")
      try fixture.fill(fixture[dy], "in.dy")
    }

    func compare(_ fixture: LayerFixture) throws -> Comparison {
      try fixture.compare("out.y", fixture[y])
      try fixture.compare("out.dx", fixture[dx])
      return try fixture.finish()
    }
  }

  /// The attributes of a block's case with input [images, T, D].
  private struct BlockCase {
    let images, tokens, width, heads, hidden: Int
    var rows: Int { images * tokens }
    var block: EncoderBlock.Shape {
      EncoderBlock.Shape(tokens: tokens, width: width, heads: heads, hidden: hidden)
    }
  }

  private static func blockShape(_ tensors: GoldenTensors, heads: Int, hidden: Int) throws -> BlockCase {
    let shape = try tensors("in.x").shape
    guard shape.count == 3, heads > 0, shape[2] % heads == 0 else {
      throw ConformanceError("in.x has the shape \(shape) for \(heads) heads")
    }
    return BlockCase(images: shape[0], tokens: shape[1], width: shape[2], heads: heads, hidden: hidden)
  }

  private static func rowsAndWidth(_ tensors: GoldenTensors) throws -> (Int, Int) {
    let shape = try tensors("in.x").shape
    guard let width = shape.last, width > 0 else { throw ConformanceError("in.x has the shape \(shape)") }
    return (shape.dropLast().reduce(1, *), width)
  }

  private static func rows(of name: String, _ tensors: GoldenTensors) throws -> Int {
    guard let rows = try tensors(name).shape.first else { throw ConformanceError("\(name) has no rows") }
    return rows
  }
}

/// A layer under test, with the case's parameters, memory for gradients, and work space.
///
/// The layer has the name `case`, which the names in the case's file omit.
final class LayerFixture {
  private let layout: Layout
  private let tensors: GoldenTensors
  private let work: Storage
  let parameters: Storage
  let gradients: Storage
  private var comparison = Comparison()

  static let name = "case"

  /// Allocates the layer's parameters by `layout` and its work space by `work`. Throws if the case lacks a parameter or
  /// has one of another size.
  init(_ layout: Layout, work: Layout, _ tensors: GoldenTensors) throws {
    self.layout = layout
    self.tensors = tensors
    self.work = Storage(work)
    parameters = Storage(layout)
    gradients = Storage(layout)
    // Running statistics are not used in training.
    for entry in layout.entries where !entry.isBuffer {
      try fill(parameters[entry.slot], "param.\(Self.caseName(entry.name))")
    }
  }

  /// Calls `body` with the work space, which a closure cannot borrow otherwise.
  func withWork<Result>(_ body: (borrowing Storage) throws -> Result) rethrows -> Result { try body(work) }

  subscript(_ slot: Slot) -> Matrix { work[slot] }

  /// Copies a tensor of the case to a matrix with the same number of elements.
  func fill(_ matrix: Matrix, _ name: String) throws {
    let tensor = try tensors(name)
    guard tensor.values.count == matrix.count else {
      throw ConformanceError("\(name) has the shape \(tensor.shape); must have \(matrix.count) elements")
    }
    let flat = matrix.flat
    for (index, value) in tensor.values.enumerated() { flat[0, index] = value }
  }

  func compare(_ name: String, _ got: Matrix) throws { try compare(name, got.array()) }

  func compare(_ name: String, _ got: [Float]) throws {
    try comparison.compare(name, got, with: tensors(name).values)
  }

  /// Compares the gradients of all parameters, too. Returns the comparison.
  func finish() throws -> Comparison {
    for entry in layout.entries where !entry.isBuffer {
      try compare("grad.\(Self.caseName(entry.name))", gradients[entry.slot])
    }
    return comparison
  }

  private static func caseName(_ name: String) -> Substring {
    name.hasPrefix("\(Self.name).") ? name.dropFirst(Self.name.count + 1) : name[...]
  }
}
