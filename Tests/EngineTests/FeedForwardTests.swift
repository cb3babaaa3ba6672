import Engine
import Testing

@Suite struct FeedForwardTests {
  /// Images, tokens, width, hidden width.
  @Test(arguments: [(1, 1, 3, 5), (1, 5, 7, 11), (3, 4, 12, 16), (2, 3, 9, 23)])
  func gradients(images: Int, tokens: Int, width: Int, hidden: Int) {
    let shape = EncoderBlock.Shape(tokens: tokens, width: width, heads: 1, hidden: hidden)
    var (layout, work) = (Layout(), Layout())
    let mlp = FeedForward("m", width: width, hidden: hidden, in: &layout)
    let scratchPlan = EncoderBlock.ScratchPlan(images: images + 1, shape, in: &work)
    let rows = images * tokens
    let slots = ["x", "y", "dx", "dy"].map { work.add($0, rows, width + 1) }
    let hiddenSlot = work.add("hidden", rows, hidden)
    let bench = Bench(layout, work: work, seed: 41)
    // Space for one more image than used, as in an epoch's last chunk.
    let scratch = bench.withWork { scratchPlan.scratch($0, images: images + 1).feedForward }
    let views = slots.map { bench[$0].columns(1..<1 + width) }
    let (x, y, dx, dy, kept) = (views[0], views[1], views[2], views[3], bench[hiddenSlot])
    func forward() -> Double {
      Elementwise.fill(y, 0)
      mlp.forward(x, adding: y, hidden: kept, scratch, bench.parameters)
      return y.inner(dy)
    }
    _ = forward()
    // The backward pass depends only on the input and fc1's output.
    Elementwise.fill(scratch.activated, .nan)
    mlp.backward(dy, input: x, into: dx, hidden: kept, scratch, bench.parameters, bench.gradients)
    bench.expectGradients([Differentiable("x", x, gradient: dx.array())], of: forward)
  }
}
