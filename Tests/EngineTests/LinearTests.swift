import Engine
import Testing

@Suite struct LinearTests {
  /// Rows, inputs, outputs, bias: single elements, whole vectors, vectors and a remainder.
  static let sizes = [
    (1, 1, 1, true), (5, 7, 11, true), (1, 16, 9, true), (13, 17, 3, false), (9, 20, 8, false),
  ]

  @Test(arguments: sizes) func gradients(rows: Int, inputs: Int, outputs: Int, hasBias: Bool) {
    var (layout, work) = (Layout(), Layout())
    let linear = Linear("l", inputs: inputs, outputs: outputs, bias: hasBias, in: &layout)
    // Inputs and outputs are ranges of columns of wider matrices.
    let (xs, dxs) = (work.add("x", rows, inputs + 3), work.add("dx", rows, inputs + 1))
    let (ys, dys) = (work.add("y", rows, outputs + 2), work.add("dy", rows, outputs + 5))
    let bench = Bench(layout, work: work, seed: 11)
    let (x, dx) = (bench[xs].columns(2..<2 + inputs), bench[dxs].columns(1..<1 + inputs))
    let (y, dy) = (bench[ys].columns(0..<outputs), bench[dys].columns(4..<4 + outputs))
    linear.backward(dy, input: x, into: dx, bench.parameters, bench.gradients)
    bench.expectGradients([Differentiable("x", x, gradient: dx.array())]) {
      linear.forward(x, into: y, bench.parameters)
      return y.inner(dy)
    }
    #expect(layout.entries.map(\.name) == (hasBias ? ["l.weight", "l.bias"] : ["l.weight"]))
  }

  @Test func addingIsTheSameOnTopOfWhatIsThere() {
    var (layout, work) = (Layout(), Layout())
    let linear = Linear("l", inputs: 7, outputs: 9, in: &layout)
    let (x, y, sum) = (work.add("x", 3, 7), work.add("y", 3, 9), work.add("sum", 3, 9))
    let bench = Bench(layout, work: work, seed: 12)
    let before = bench[sum].array()
    linear.forward(bench[x], into: bench[y], bench.parameters)
    linear.forward(bench[x], adding: bench[sum], bench.parameters)
    for (i, (sum, y)) in zip(bench[sum].array(), bench[y].array()).enumerated() {
      #expect(abs(sum - before[i] - y) < 1e-5, "element \(i), seed 12")
    }
  }

  @Test func gradientsOfParametersNeedNoGradientOfTheInput() {
    var (layout, work) = (Layout(), Layout())
    let linear = Linear("l", inputs: 7, outputs: 9, in: &layout)
    let (x, dx, dy) = (work.add("x", 3, 7), work.add("dx", 3, 7), work.add("dy", 3, 9))
    let (with, without) = (Bench(layout, work: work, seed: 13), Bench(layout, work: work, seed: 13))
    linear.backward(with[dy], input: with[x], into: with[dx], with.parameters, with.gradients)
    linear.backward(without[dy], input: without[x], into: nil, without.parameters, without.gradients)
    #expect(with.gradients.all.bits == without.gradients.all.bits)
  }
}
