import Engine

/// A head under test. It is also used to test batch normalisation, which occurs only in heads.
struct HeadBench {
  let head: ProjectionHead
  let bench: Bench
  let trace: ProjectionHead.Trace
  let x, dx: Matrix
  /// The gradient of the output; the backward pass overwrites a copy of it.
  let dy: Matrix
  private let overwritten: Matrix

  init(rows: Int, widths: [Int], bias: Bool, seed: UInt64) {
    var (layout, work) = (Layout(), Layout())
    head = ProjectionHead("h", widths: widths, bias: bias, in: &layout)
    let plan = ProjectionHead.TracePlan(head, rows: rows, in: &work)
    // The input is a range of columns of a wider matrix.
    let (x, dx) = (work.add("x", rows, widths[0] + 2), work.add("dx", rows, widths[0] + 1))
    let output = widths[widths.count - 1]
    let (dy, overwritten) = (work.add("dy", rows, output), work.add("overwritten", rows, output))
    bench = Bench(layout, work: work, seed: seed)
    trace = bench.withWork { plan.trace($0) }
    self.x = bench[x].columns(1..<1 + widths[0])
    self.dx = bench[dx].columns(0..<widths[0])
    (self.dy, self.overwritten) = (bench[dy], bench[overwritten])
    for affine in head.norms.compactMap(\.affine) { bench.parameters.keepFromKinks(affine, mixed: 4) }
  }

  func forward() { head.forward(x, trace, bench.parameters) }

  /// Runs the head forward. Returns Σ dy ⊙ y.
  func value() -> Double {
    forward()
    return trace.output.inner(dy)
  }

  func backward() {
    Elementwise.copy(dy, to: overwritten)
    head.backward(overwritten, input: x, into: dx, trace, bench.parameters, bench.gradients)
  }
}

extension Storage {
  /// Keeps ReLUs from switching, since a difference across a kink is not a derivative. Most units before them become
  /// positive for every image or negative for every image (x̂ is at most √(rows - 1)); one in `mixed` keeps its bias.
  func keepFromKinks(_ affine: BatchNorm.Affine, mixed: Int) {
    let (weight, bias) = (self[affine.weight], self[affine.bias])
    for c in 0..<weight.columns where c % mixed != 1 {
      weight[0, c] = (c % 3 == 0 ? -1 : 1) * (0.4 + 0.02 * Float(c))
      bias[0, c] = c % 2 == 0 ? 2.5 : -3
    }
  }
}
