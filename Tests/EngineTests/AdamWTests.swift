import Engine
import Foundation
import Testing

@Suite struct AdamWTests {
  private static func draw(_ storage: borrowing Storage, _ seed: UInt64, _ purpose: String, _ step: Int = 0) {
    var random = RandomNumbers(seed, purpose, step)
    storage.all.draw(&random)
  }

  /// Compares five steps with the formula in Double, for sizes with a remainder and with more than one part.
  @Test(arguments: [1, 7, 8, 29, 65536 + 13]) func matchesTheFormula(count: Int) {
    let parameters = Storage(0..<count)
    let gradients = Storage(0..<count)
    Self.draw(parameters, 111, "parameters")
    var w = parameters.all.doubles
    var (m, v) = (Array(repeating: 0.0, count: count), Array(repeating: 0.0, count: count))
    let optimiser = AdamW([0..<count], weightDecay: 0.1)
    let workers = Workers(2)
    for t in 1...5 {
      Self.draw(gradients, 111, "gradients", t)
      let rate = 0.01 * Double(t)
      optimiser.step(parameters, gradients, learningRate: Float(rate), workers)
      for (i, g) in gradients.all.doubles.enumerated() {
        w[i] -= rate * 0.1 * w[i]
        m[i] = 0.9 * m[i] + 0.1 * g
        v[i] = 0.999 * v[i] + 0.001 * g * g
        let (mean, square) = (m[i] / (1 - pow(0.9, Double(t))), v[i] / (1 - pow(0.999, Double(t))))
        w[i] -= rate * mean / (square.squareRoot() + 1e-8)
      }
    }
    let error = zip(parameters.all.doubles, w).map { abs($0 - $1) }.max() ?? 0
    #expect(error < 1e-5, "seed 111")
  }

  @Test func leavesEverythingOutsideItsRangeAlone() {
    let parameters = Storage(0..<40)
    let gradients = Storage(10..<31)
    Self.draw(parameters, 112, "parameters")
    Self.draw(gradients, 112, "gradients")
    let before = parameters.all.bits
    let optimiser = AdamW([10..<31], weightDecay: 0)
    optimiser.step(parameters, gradients, learningRate: 0.01, Workers(1))
    let after = parameters.all.bits
    #expect(after[..<10] == before[..<10] && after[31...] == before[31...], "seed 112")
    for i in 10..<31 { #expect(after[i] != before[i], "element \(i), seed 112") }
  }

  /// The finite differences of a whole trainer depend on this.
  @Test func aRateOfZeroChangesNothing() {
    let parameters = Storage(0..<77)
    let gradients = Storage(0..<77)
    Self.draw(parameters, 113, "parameters")
    let before = parameters.all.bits
    let optimiser = AdamW([0..<77], weightDecay: 0.1)
    for step in 0..<4 {
      Self.draw(gradients, 113, "gradients", step)
      optimiser.step(parameters, gradients, learningRate: 0, Workers(1))
    }
    #expect(parameters.all.bits == before, "seed 113")
  }

  @Test func hasTheSameBitsForAnyNumberOfWorkers() {
    let count = 3 * 65536 + 5
    let results = (1...4).map { workers in
      let parameters = Storage(0..<count)
      let gradients = Storage(0..<count)
      Self.draw(parameters, 114, "parameters")
      Self.draw(gradients, 114, "gradients")
      let optimiser = AdamW([0..<count], weightDecay: 0.1)
      for _ in 0..<2 { optimiser.step(parameters, gradients, learningRate: 0.01, Workers(workers)) }
      return parameters.all.bits
    }
    for (index, result) in results.enumerated() {
      #expect(result == results[0], "\(index + 1) workers, seed 114")
    }
  }
}
