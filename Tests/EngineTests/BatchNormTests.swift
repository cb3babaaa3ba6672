import Engine
import Testing

/// Tests batch normalisation through heads of one and two layers. With the identity as its weight, a head of one layer
/// is a batch normalisation without affine part.
@Suite struct BatchNormTests {
  private func normalisation(rows: Int, width: Int, seed: UInt64) -> HeadBench {
    let f = HeadBench(rows: rows, widths: [width, width], bias: false, seed: seed)
    let weight = f.bench.parameters[f.head.linears[0].weight]
    for r in 0..<width { for c in 0..<width { weight[r, c] = r == c ? 1 : 0 } }
    return f
  }

  @Test(arguments: [(2, 1), (3, 7), (8, 16), (11, 13)]) func gradientsWithoutAffinePart(rows: Int, width: Int)
  {
    let f = normalisation(rows: rows, width: width, seed: 81)
    f.forward()
    f.backward()
    // With two rows x̂ is ±1 for any x, up to ε, so the gradient is almost zero.
    let dx = Differentiable("x", f.x, gradient: f.dx.array(), vanishes: rows == 2)
    FiniteDifferences(seed: 81).expect([dx], of: f.value)
  }

  /// The affine part precedes a ReLU and a second layer; its gradients are those of the whole head.
  @Test(arguments: [(4, 3), (7, 8), (10, 13)]) func gradientsWithAffinePart(rows: Int, width: Int) {
    let f = HeadBench(rows: rows, widths: [5, width, 6], bias: false, seed: 82)
    f.forward()
    f.backward()
    #expect(f.head.norms[0].affine != nil && f.head.norms[1].affine == nil)
    f.bench.expectGradients([], of: f.value)
  }

  @Test(arguments: [(2, 3), (5, 7), (64, 9)]) func normalisesColumns(rows: Int, width: Int) {
    let f = normalisation(rows: rows, width: width, seed: 83)
    Elementwise.add(f.x, to: f.x, scale: 4)
    f.forward()
    for c in 0..<width {
      let x = f.x.columns(c..<c + 1).doubles
      let mean = x.reduce(0, +) / Double(rows)
      // The variance of the batch is over B, not B - 1.
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows)
      for r in 0..<rows {
        let expected = (x[r] - mean) / (variance + 1e-5).squareRoot()
        #expect(abs(Double(f.trace.output[r, c]) - expected) < 1e-5, "(\(r), \(c)), seed 83")
      }
    }
  }

  @Test func aColumnOfOneValueBecomesZero() {
    let f = normalisation(rows: 6, width: 5, seed: 84)
    Elementwise.fill(f.x.columns(2..<3), 7)
    f.forward()
    f.backward()
    #expect(f.trace.output.columns(2..<3).array() == Array(repeating: 0, count: 6))
    #expect(f.dx.array().allSatisfy { $0.isFinite })
  }
}
