import Engine
import Foundation
import Testing

@Suite struct InfoNCETests {
  private struct Fixture {
    let loss: InfoNCE
    let bench: Bench
    let q, k, dq: Matrix

    init(batch: Int, width: Int, seed: UInt64) {
      var work = Layout()
      loss = InfoNCE(batch: batch, width: width, in: &work)
      let slots = ["q", "k", "dq"].map { work.add($0, batch, width + 3) }
      bench = Bench(Layout(), work: work, seed: seed)
      q = bench[slots[0]].columns(1..<1 + width)
      k = bench[slots[1]].columns(0..<width)
      dq = bench[slots[2]].columns(3..<3 + width)
    }

    func callAsFunction(temperature: Float, weight: Float = 1) -> Float {
      bench.withWork { loss.loss(q, k, adding: dq, temperature: temperature, weight: weight, $0) }
    }

    /// Returns the loss by the formula, in Double.
    func reference(temperature: Float) -> Double {
      func unit(_ matrix: Matrix, _ r: Int) -> [Double] {
        let row = matrix.rows(r..<r + 1).doubles
        let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return row.map { $0 / length }
      }
      let keys = (0..<q.rows).map { unit(k, $0) }
      let losses = (0..<q.rows).map { r in
        let query = unit(q, r)
        let s = keys.map { zip(query, $0).reduce(0) { $0 + $1.0 * $1.1 } / Double(temperature) }
        return log(s.reduce(0) { $0 + exp($1) }) - s[r]
      }
      return losses.reduce(0, +) / Double(q.rows)
    }
  }

  /// Batch, width, temperature, weight.
  static let sizes: [(Int, Int, Float, Float)] = [
    (2, 5, 0.5, 1), (3, 13, 0.2, 0.3), (5, 16, 0.05, 1), (9, 7, 0.5, 2),
  ]

  @Test(arguments: sizes) func gradients(batch: Int, width: Int, temperature: Float, weight: Float) {
    let f = Fixture(batch: batch, width: width, seed: 101)
    let before = f.dq.array()
    _ = f(temperature: temperature, weight: weight)
    let dq = zip(f.dq.array(), before).map { $0 - $1 }
    FiniteDifferences(seed: 101).expect([Differentiable("q", f.q, gradient: dq)]) {
      Double(weight) * f.reference(temperature: temperature)
    }
  }

  /// The weight applies to the gradient only; the returned loss is unweighted.
  @Test(arguments: sizes) func matchesTheFormula(batch: Int, width: Int, temperature: Float, weight: Float) {
    let f = Fixture(batch: batch, width: width, seed: 102)
    let loss = Double(f(temperature: temperature, weight: weight))
    #expect(abs(loss - f.reference(temperature: temperature)) < 1e-5 * max(1, loss), "seed 102")
  }

  @Test func queriesAndKeysStayAsTheyAre() {
    let f = Fixture(batch: 4, width: 9, seed: 103)
    let (q, k) = (f.q.bits, f.k.bits)
    _ = f(temperature: 0.1)
    #expect(f.q.bits == q && f.k.bits == k)
  }
}
