import Engine
import Testing

/// The tests of layers depend on this machinery; these tests show that it detects errors.
@Suite struct FiniteDifferencesTests {
  /// Uses Σ a ⊙ x² + b ⊙ x³, which has the gradient 2 a ⊙ x + 3 b ⊙ x².
  private func error(seed: UInt64, _ spoil: (inout [Float]) -> Void) -> Double {
    let storage = Storage(0..<37)
    var random = RandomNumbers(seed, "cubic")
    storage.all.draw(&random)
    let (a, b) = ((0..<37).map { _ in random.normal() }, (0..<37).map { _ in random.normal() })
    let x = storage.all.array()
    var gradient: [Float] = x.indices.map { i -> Float in x[i] * (2 * a[i] + 3 * b[i] * x[i]) }
    spoil(&gradient)
    let matrix = storage.all
    return FiniteDifferences(seed: seed).error(of: Differentiable("x", matrix, gradient: gradient)) {
      (0..<37).reduce(0.0) { (sum: Double, i: Int) -> Double in
        let x = Double(matrix[0, i])
        return sum + x * x * (Double(a[i]) + Double(b[i]) * x)
      }
    }
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func agreesWithTheTruth(seed: UInt64) {
    #expect(error(seed: seed) { _ in } < 1e-3, "seed \(seed)")
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func noticesFactors(seed: UInt64) {
    for factor: Float in [0.95, 1.05, -1, 0] {
      #expect(error(seed: seed) { for i in $0.indices { $0[i] *= factor } } > 0.04, "\(factor), seed \(seed)")
    }
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func noticesARemainderThatIsLeftOut(seed: UInt64) {
    #expect(error(seed: seed) { for i in 32..<37 { $0[i] = 0 } } > 0.04, "seed \(seed)")
    #expect(error(seed: seed) { $0[3] = .nan } == .infinity, "seed \(seed)")
  }
}
