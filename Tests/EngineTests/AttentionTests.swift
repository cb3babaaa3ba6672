import Engine
import Foundation
import Testing

@Suite struct AttentionTests {
  private struct Fixture {
    let attention: Attention
    let bench: Bench
    let trace: Attention.Trace
    let scratch: Attention.Scratch
    let x, y, dx, dy: Matrix

    /// The trace is that of the last images of a larger batch, as in a chunk.
    init(images: Int, tokens: Int, width: Int, heads: Int, seed: UInt64) {
      let shape = EncoderBlock.Shape(tokens: tokens, width: width, heads: heads, hidden: 1)
      var (layout, work) = (Layout(), Layout())
      attention = Attention("a", tokens: tokens, width: width, heads: heads, in: &layout)
      let plan = Attention.TracePlan(
        images: images + 2, tokens: tokens, width: width, heads: heads, in: &work)
      let scratchPlan = EncoderBlock.ScratchPlan(images: images + 1, shape, in: &work)
      let slots = ["x", "y", "dx", "dy"].map { work.add($0, images * tokens, width) }
      let bench = Bench(layout, work: work, seed: seed)
      self.bench = bench
      trace = bench.withWork { plan.trace($0, images: 2..<2 + images) }
      scratch = bench.withWork { scratchPlan.scratch($0, images: images + 1).attention }
      let views = slots.map { bench[$0] }
      (x, y, dx, dy) = (views[0], views[1], views[2], views[3])
    }

    func forward() {
      Elementwise.fill(y, 0)
      attention.forward(x, adding: y, trace, bench.parameters)
    }
  }

  @Test(arguments: [(1, 1, 3, 1), (1, 5, 12, 3), (3, 9, 14, 2), (2, 8, 16, 1)])
  func gradients(images: Int, tokens: Int, width: Int, heads: Int) {
    let f = Fixture(images: images, tokens: tokens, width: width, heads: heads, seed: 31)
    f.forward()
    f.attention.backward(
      f.dy, input: f.x, into: f.dx, f.trace, f.scratch, f.bench.parameters, f.bench.gradients)
    f.bench.expectGradients([Differentiable("x", f.x, gradient: f.dx.array())]) {
      f.forward()
      return f.y.inner(f.dy)
    }
  }

  @Test func addsToWhatIsThere() {
    let f = Fixture(images: 2, tokens: 5, width: 12, heads: 3, seed: 32)
    f.forward()
    let once = f.y.array()
    f.attention.forward(f.x, adding: f.y, f.trace, f.bench.parameters)
    for (twice, once) in zip(f.y.array(), once) { #expect(abs(twice - 2 * once) < 1e-4, "seed 32") }
  }

  /// Images must be independent of each other, and so must heads.
  @Test func eachImageIsByItself() {
    let f = Fixture(images: 3, tokens: 5, width: 12, heads: 3, seed: 33)
    f.forward()
    let first = f.y.rows(0..<5).bits
    Elementwise.fill(f.x.rows(5..<15), 1)
    f.forward()
    #expect(f.y.rows(0..<5).bits == first)
  }

  @Test func attentionIsADistributionOverTheTokens() {
    let f = Fixture(images: 2, tokens: 7, width: 12, heads: 3, seed: 34)
    f.forward()
    #expect(f.trace.attention.rows == 2 * 3 * 7)
    for r in 0..<f.trace.attention.rows {
      let row = f.trace.attention.rows(r..<r + 1).array()
      #expect(abs(row.reduce(0, +) - 1) < 1e-5 && row.allSatisfy { $0 >= 0 }, "row \(r), seed 34")
    }
  }

  /// Computes softmax(q·kᵀ / √d)·v in Double for one head of one image.
  @Test func matchesTheFormula() {
    let f = Fixture(images: 2, tokens: 5, width: 12, heads: 3, seed: 35)
    f.forward()
    let (image, head, d) = (1, 2, 4)
    let qkv = f.trace.qkv.rows(image * 5..<image * 5 + 5)
    func part(_ k: Int, _ t: Int) -> [Double] {
      qkv.rows(t..<t + 1).columns(k * 12 + head * d..<k * 12 + head * d + d).doubles
    }
    for t in 0..<5 {
      let weights = (0..<5).map { u in exp(zip(part(0, t), part(1, u)).reduce(0) { $0 + $1.0 * $1.1 } / 2) }
      let total = weights.reduce(0, +)
      for c in 0..<d {
        let expected = (0..<5).reduce(0) { $0 + weights[$1] / total * part(2, $1)[c] }
        #expect(abs(Double(f.trace.context[image * 5 + t, head * d + c]) - expected) < 1e-5, "seed 35")
      }
    }
  }
}
