import Engine
import Testing

@Suite struct LayerNormTests {
  /// A normalisation with x, y, dx and dy, each a view of `width` columns of a wider matrix.
  private struct Fixture {
    let norm: LayerNorm
    let bench: Bench
    let trace: LayerNorm.Trace
    let x, y, dx, dy: Matrix

    init(rows: Int, width: Int, seed: UInt64) {
      var (layout, work) = (Layout(), Layout())
      norm = LayerNorm("n", width: width, in: &layout)
      let plan = LayerNorm.TracePlan(rows: rows + 2, width: width, in: &work)
      let slots = ["x", "y", "dx", "dy"].map { work.add($0, rows, width + 3) }
      let bench = Bench(layout, work: work, seed: seed)
      self.bench = bench
      trace = bench.withWork { plan.trace($0, rows: 1..<1 + rows) }
      let views = slots.map { bench[$0].columns(1..<1 + width) }
      (x, y, dx, dy) = (views[0], views[1], views[2], views[3])
    }
  }

  @Test(arguments: [(1, 7), (5, 13), (3, 16), (4, 33)]) func gradients(rows: Int, width: Int) {
    let f = Fixture(rows: rows, width: width, seed: 21)
    let before = f.dx.array()
    f.norm.forward(f.x, into: f.y, f.trace, f.bench.parameters)
    f.norm.backward(f.dy, f.trace, adding: f.dx, f.bench.parameters, f.bench.gradients)
    let dx = zip(f.dx.array(), before).map { $0 - $1 }
    f.bench.expectGradients([Differentiable("x", f.x, gradient: dx)]) {
      f.norm.forward(f.x, into: f.y, f.trace, f.bench.parameters)
      return f.y.inner(f.dy)
    }
  }

  @Test(arguments: [(1, 5), (6, 12), (2, 192)]) func normalises(rows: Int, width: Int) {
    let f = Fixture(rows: rows, width: width, seed: 22)
    Elementwise.add(f.x, to: f.x, scale: 30)
    f.norm.forward(f.x, into: f.y, f.trace, f.bench.parameters)
    let (w, b) = (f.bench.parameters[f.norm.weight], f.bench.parameters[f.norm.bias])
    for r in 0..<rows {
      let x = f.x.rows(r..<r + 1).doubles
      let mean = x.reduce(0, +) / Double(width)
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
      for c in 0..<width {
        let expected = (x[c] - mean) / (variance + 1e-6).squareRoot() * Double(w[0, c]) + Double(b[0, c])
        #expect(abs(Double(f.y[r, c]) - expected) < 1e-5, "(\(r), \(c)), seed 22")
      }
    }
  }

  @Test func outputIsComputedAgainToTheBit() {
    let f = Fixture(rows: 4, width: 13, seed: 23)
    f.norm.forward(f.x, into: f.y, f.trace, f.bench.parameters)
    let first = f.y.bits
    Elementwise.fill(f.y, .nan)
    f.norm.output(f.trace, into: f.y, f.bench.parameters)
    #expect(f.y.bits == first)
  }

  @Test func gradientsOfParametersNeedNoGradientOfTheInput() {
    let (with, without) = (Fixture(rows: 4, width: 13, seed: 24), Fixture(rows: 4, width: 13, seed: 24))
    for f in [with, without] { f.norm.forward(f.x, into: f.y, f.trace, f.bench.parameters) }
    with.norm.backward(with.dy, with.trace, adding: with.dx, with.bench.parameters, with.bench.gradients)
    without.norm.backward(
      without.dy, without.trace, adding: nil, without.bench.parameters, without.bench.gradients)
    #expect(with.bench.gradients.all.bits == without.bench.gradients.all.bits)
  }

  @Test func aConstantRowStaysFinite() {
    let f = Fixture(rows: 2, width: 9, seed: 25)
    Elementwise.fill(f.x, 3)
    f.norm.forward(f.x, into: f.y, f.trace, f.bench.parameters)
    #expect(f.y.rows(0..<1).array() == f.bench.parameters[f.norm.bias].array())
  }
}
