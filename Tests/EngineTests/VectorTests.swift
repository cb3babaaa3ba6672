import Engine
import Foundation
import Testing

/// Tests the vector functions through their kernels: e^x through softmax, the normal distribution through GELU and its
/// gradient.
@Suite struct VectorTests {
  /// softmax([0, x, …]) has the ratio e^x : 1.
  @Test func exponentialMatchesFoundation() {
    var random = RandomNumbers(171)
    let edges: [Float] = [0, -0.346_573_6, -0.346_574, -1, -1e-7, -40, -86.9, -87]
    for round in 0..<200 {
      var x = (0..<21).map { _ in random.uniform(-87, 0) }
      if round == 0 { x.replaceSubrange(1..<9, with: edges) }
      x[20] = 0
      let row = Storage(0..<21)
      row.all.set(x)
      _ = Softmax.row(row.all.start, count: 21)
      let y = row.all.doubles
      for (x, y) in zip(x, y.map { $0 / y[20] }) {
        let expected = exp(Double(x))
        #expect(abs(y - expected) < 5e-7 * expected, "e^\(x), seed 171")
      }
    }
  }

  /// Below -87 the result is as small as floats get, and never negative, infinite or NaN.
  @Test func exponentialIsClamped() {
    let row = Storage(0..<9)
    row.all.set([0, -88, -100, -1e4, -1e30, -.infinity, -87.5, -200, -3e38])
    _ = Softmax.row(row.all.start, count: 9)
    #expect(row.all.array().dropFirst().allSatisfy { $0 >= 0 && $0 < 1e-37 })
    #expect(row.all[0, 0] == 1)
  }

  /// GELU is x Φ(x), and its gradient Φ(x) + x φ(x), to the 1.5e-7 of the approximation of erf.
  @Test func normalDistributionMatchesFoundation() {
    var random = RandomNumbers(172)
    for round in 0..<200 {
      var inputs = (0..<21).map { _ in random.normal() * 3 }
      if round == 0 { inputs.replaceSubrange(0..<8, with: [0, -0.0, 1e-20, -1e-20, 9, -9, 40, -40]) }
      let x = Storage(0..<21)
      let y = Storage(0..<21)
      let dx = Storage(0..<21)
      x.all.set(inputs)
      Elementwise.fill(dx.all, 1)
      Elementwise.gelu(x.all, into: y.all)
      Elementwise.geluBackward(dx.all, input: x.all, into: dx.all)
      for (i, x) in inputs.map(Double.init).enumerated() {
        let cumulative = 0.5 * erfc(-x / 2.0.squareRoot())
        let density = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
        let scale = max(1, abs(x))
        #expect(abs(Double(y.all[0, i]) - x * cumulative) < 4e-7 * scale, "Φ(\(x)), seed 172")
        #expect(abs(Double(dx.all[0, i]) - cumulative - x * density) < 6e-7, "φ(\(x)), seed 172")
      }
    }
  }
}
