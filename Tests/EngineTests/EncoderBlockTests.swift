import Engine
import Testing

@Suite struct EncoderBlockTests {
  private struct Fixture {
    let block: EncoderBlock
    let bench: Bench
    let trace: EncoderBlock.Trace
    let scratch: EncoderBlock.Scratch
    let x, y, dx, dy: Matrix

    init(images: Int, _ shape: EncoderBlock.Shape, seed: UInt64) {
      var (layout, work) = (Layout(), Layout(alignment: 16))
      block = EncoderBlock("blocks.3", shape, in: &layout)
      let plan = EncoderBlock.TracePlan(images: images + 2, shape, in: &work)
      let scratchPlan = EncoderBlock.ScratchPlan(images: images + 1, shape, in: &work)
      let slots = ["x", "y", "dx", "dy"].map { work.add($0, images * shape.tokens, shape.width) }
      let bench = Bench(layout, work: work, seed: seed)
      self.bench = bench
      trace = bench.withWork { plan.trace($0, images: 1..<1 + images) }
      scratch = bench.withWork { scratchPlan.scratch($0, images: images) }
      let views = slots.map { bench[$0] }
      (x, y, dx, dy) = (views[0], views[1], views[2], views[3])
    }

    func forward() {
      Elementwise.copy(x, to: y)
      block.forward(y, trace, scratch, bench.parameters)
    }

    func backward(throughInput: Bool) {
      Elementwise.copy(dy, to: dx)
      block.backward(
        dx, trace, scratch, throughInput: throughInput, bench.parameters, bench.gradients)
    }
  }

  @Test(arguments: [
    (1, EncoderBlock.Shape(tokens: 5, width: 12, heads: 3, hidden: 13)),
    (3, EncoderBlock.Shape(tokens: 5, width: 12, heads: 3, hidden: 48)),
    (2, EncoderBlock.Shape(tokens: 9, width: 14, heads: 2, hidden: 20)),
    (1, EncoderBlock.Shape(tokens: 1, width: 7, heads: 1, hidden: 8)),
  ])
  func gradients(images: Int, shape: EncoderBlock.Shape) {
    let f = Fixture(images: images, shape, seed: 61)
    f.forward()
    f.backward(throughInput: true)
    f.bench.expectGradients([Differentiable("x", f.x, gradient: f.dx.array())]) {
      f.forward()
      return f.y.inner(f.dy)
    }
  }

  @Test func gradientsOfParametersDoNotDependOnTheInputsBeingWanted() {
    let shape = EncoderBlock.Shape(tokens: 5, width: 12, heads: 3, hidden: 20)
    let (with, without) = (Fixture(images: 2, shape, seed: 62), Fixture(images: 2, shape, seed: 62))
    for (f, throughInput) in [(with, true), (without, false)] {
      f.forward()
      f.backward(throughInput: throughInput)
    }
    #expect(with.bench.gradients.all.bits == without.bench.gradients.all.bits)
    #expect(with.dx.bits != without.dx.bits)
  }

  /// Chunking is exact: the output for an image does not depend on the other images.
  @Test func imagesGoThroughIndependently() {
    let shape = EncoderBlock.Shape(tokens: 5, width: 12, heads: 3, hidden: 20)
    let f = Fixture(images: 3, shape, seed: 63)
    f.forward()
    let last = f.y.rows(10..<15).array()
    Elementwise.fill(f.x.rows(0..<10), 0.5)
    f.forward()
    #expect(f.y.rows(10..<15).array() == last)
  }

  @Test func namesAreTimms() {
    var layout = Layout()
    let shape = EncoderBlock.Shape(tokens: 5, width: 12, heads: 3, hidden: 48)
    _ = EncoderBlock("blocks.0", shape, in: &layout)
    let layers = ["norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"]
    #expect(
      layout.entries.map(\.name) == layers.flatMap { ["blocks.0.\($0).weight", "blocks.0.\($0).bias"] })
  }
}
