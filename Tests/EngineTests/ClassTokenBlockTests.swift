import Engine
import Testing

@Suite struct ClassTokenBlockTests {
  /// A block run in full and for the class token only, with the same parameters and input.
  private struct Fixture {
    let block: EncoderBlock
    let shape: EncoderBlock.Shape
    let images: Int
    let bench: Bench
    let full: EncoderBlock.Trace
    let short, gradient: ClassTokenBlock.Trace
    let scratch: EncoderBlock.Scratch
    let x, y, dx, tokens, d: Matrix

    init(images: Int, _ shape: EncoderBlock.Shape, seed: UInt64) {
      var (layout, work) = (Layout(), Layout(alignment: 16))
      block = EncoderBlock("blocks.0", shape, in: &layout)
      let fullPlan = EncoderBlock.TracePlan(images: images, shape, in: &work)
      let shortPlan = ClassTokenBlock.TracePlan(images: images + 2, shape, in: &work)
      let gradientPlan = ClassTokenBlock.TracePlan(images: images, shape, in: &work)
      let scratchPlan = EncoderBlock.ScratchPlan(images: images, shape, in: &work)
      let wide = ["x", "y", "dx"].map { work.add($0, images * shape.tokens, shape.width) }
      let narrow = ["tokens", "d"].map { work.add($0, images, shape.width) }
      let bench = Bench(layout, work: work, seed: seed)
      (self.bench, self.shape, self.images) = (bench, shape, images)
      full = bench.withWork { fullPlan.trace($0, images: 0..<images) }
      short = bench.withWork { shortPlan.trace($0, images: 1..<1 + images) }
      gradient = bench.withWork { gradientPlan.trace($0, images: 0..<images) }
      scratch = bench.withWork { scratchPlan.scratch($0, images: images) }
      (x, y, dx) = (bench[wide[0]], bench[wide[1]], bench[wide[2]])
      (tokens, d) = (bench[narrow[0]], bench[narrow[1]])
    }

    func classTokens(_ x: Matrix) -> Matrix {
      Matrix(x.start, rows: images, columns: x.columns, stride: shape.tokens * x.stride)
    }

    func forward() {
      ClassTokenBlock(block).forward(x, into: tokens, short, scratch, bench.parameters)
    }
  }

  private static let shapes = [
    (1, EncoderBlock.Shape(tokens: 5, width: 12, heads: 3, hidden: 13)),
    (4, EncoderBlock.Shape(tokens: 9, width: 14, heads: 2, hidden: 20)),
    (2, EncoderBlock.Shape(tokens: 17, width: 24, heads: 3, hidden: 96)),
    (3, EncoderBlock.Shape(tokens: 1, width: 8, heads: 1, hidden: 8)),
  ]

  @Test(arguments: shapes) func agreesWithTheFullBlock(images: Int, shape: EncoderBlock.Shape) {
    let f = Fixture(images: images, shape, seed: 71)
    let d = f.d.array()
    f.forward()
    let short = f.tokens.array()
    ClassTokenBlock(f.block).backward(
      f.d, into: f.dx, f.short, gradient: f.gradient, f.scratch, f.bench.parameters, f.bench.gradients)
    let (shortInput, shortGradients) = (f.dx.array(), f.bench.gradients.all.array())

    Elementwise.copy(f.x, to: f.y)
    f.block.forward(f.y, f.full, f.scratch, f.bench.parameters)
    expectClose(short, f.classTokens(f.y).array(), "output")
    Elementwise.fill(f.dx, 0)
    let rows = f.classTokens(f.dx)
    for (index, value) in d.enumerated() { rows[index / shape.width, index % shape.width] = value }
    Elementwise.fill(f.bench.gradients.all, 1)
    f.block.backward(
      f.dx, f.full, f.scratch, throughInput: true, f.bench.parameters, f.bench.gradients)
    expectClose(shortInput, f.dx.array(), "gradient of the input")
    expectClose(shortGradients, f.bench.gradients.all.array(), "gradients of the parameters")
  }

  @Test func leavesItsInputAsItIs() {
    let f = Fixture(images: 2, Self.shapes[1].1, seed: 72)
    let before = f.x.array()
    f.forward()
    #expect(f.x.array() == before)
  }

  @Test(arguments: Strategy.allCases) func aTrainersStepIsTheSame(strategy: Strategy) {
    let stage = TinyViT.stage(strategy)
    var results: [(loss: Float, gradients: [Float])] = []
    for lastBlock in [LastBlock.readout, .whole] {
      let options = TinyViT.options(alignment: 0.3, proximal: 0.1)
      let trainer = TinyViT.trainer(stage, options, workers: 2, seed: 73, lastBlock: lastBlock)
      TinyViT.nudge(trainer, stage.ranges, by: 0.02, seed: 74)
      let loss = trainer.step(on: RandomViews(seed: 75, count: 5))
      let trained = stage.entries
      results.append((loss, trained.flatMap { trainer.gradient($0.slot).array() }))
    }
    #expect(abs(results[0].loss - results[1].loss) < 1e-5 * abs(results[1].loss))
    expectClose(results[0].gradients, results[1].gradients, "gradients")
  }

  private func expectClose(_ a: [Float], _ b: [Float], _ what: String) {
    let scale = max(1, b.reduce(0) { max($0, abs($1)) })
    let error = zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } / scale
    #expect(a.count == b.count && error < 2e-5, "\(what): \(error)")
  }
}
