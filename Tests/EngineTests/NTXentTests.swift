import Engine
import Foundation
import Testing

@Suite struct NTXentTests {
  private struct Fixture {
    let loss: NTXent
    let bench: Bench
    let z, dz: Matrix

    init(batch: Int, width: Int, seed: UInt64) {
      var work = Layout()
      loss = NTXent(batch: batch, width: width, in: &work)
      let (z, dz) = (work.add("z", 2 * batch, width + 3), work.add("dz", 2 * batch, width + 1))
      bench = Bench(Layout(), work: work, seed: seed)
      (self.z, self.dz) = (bench[z].columns(2..<2 + width), bench[dz].columns(0..<width))
    }

    func callAsFunction(temperature: Float) -> Float {
      bench.withWork { loss.loss(z, adding: dz, temperature: temperature, $0) }
    }

    /// Returns the loss by the formula, in Double.
    func reference(temperature: Float) -> Double {
      let n = z.rows
      let rows = (0..<n).map { r in
        let row = z.rows(r..<r + 1).doubles
        let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return row.map { $0 / length }
      }
      func similarity(_ a: Int, _ b: Int) -> Double {
        zip(rows[a], rows[b]).reduce(0) { $0 + $1.0 * $1.1 } / Double(temperature)
      }
      let losses = (0..<n).map { r in
        let others = (0..<n).filter { $0 != r }.reduce(0) { $0 + exp(similarity(r, $1)) }
        return log(others) - similarity(r, (r + n / 2) % n)
      }
      return losses.reduce(0, +) / Double(n)
    }
  }

  /// Batch, width, temperature.
  static let sizes: [(Int, Int, Float)] = [(2, 5, 0.5), (3, 13, 0.2), (5, 16, 0.05), (9, 7, 0.5)]

  /// Uses differences of the formula in Double, which are free of rounding errors.
  @Test(arguments: sizes) func gradients(batch: Int, width: Int, temperature: Float) {
    let f = Fixture(batch: batch, width: width, seed: 91)
    let before = f.dz.array()
    _ = f(temperature: temperature)
    let dz = zip(f.dz.array(), before).map { $0 - $1 }
    // Each view is a separate tensor.
    let half = dz.count / 2
    FiniteDifferences(seed: 91).expect([
      Differentiable("z1", f.z.rows(0..<batch), gradient: Array(dz[..<half])),
      Differentiable("z2", f.z.rows(batch..<2 * batch), gradient: Array(dz[half...])),
    ]) { f.reference(temperature: temperature) }
  }

  @Test(arguments: sizes) func matchesTheFormula(batch: Int, width: Int, temperature: Float) {
    let f = Fixture(batch: batch, width: width, seed: 92)
    let loss = Double(f(temperature: temperature))
    #expect(abs(loss - f.reference(temperature: temperature)) < 1e-5 * max(1, loss), "seed 92")
  }

  @Test func aSingleImageHasNothingToBeToldFrom() {
    let f = Fixture(batch: 1, width: 5, seed: 93)
    let before = f.dz.array()
    #expect(abs(f(temperature: 0.5)) < 1e-6)
    for (got, expected) in zip(f.dz.array(), before) { #expect(abs(got - expected) < 1e-6, "seed 93") }
  }

  @Test func isTheSameWhicheverViewComesFirst() {
    let f = Fixture(batch: 4, width: 9, seed: 94)
    let first = f(temperature: 0.1)
    let z = f.z.array()
    f.z.set(Array(z[36...] + z[..<36]))
    #expect(abs(f(temperature: 0.1) - first) < 1e-5)
  }

  @Test func aProjectionOfZerosStaysFinite() {
    let f = Fixture(batch: 3, width: 5, seed: 95)
    Elementwise.fill(f.z.rows(1..<2), 0)
    #expect(f(temperature: 0.05).isFinite)
    #expect(f.dz.array().allSatisfy { $0.isFinite })
  }
}
