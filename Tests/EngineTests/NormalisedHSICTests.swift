import Engine
import Foundation
import Testing

@Suite struct NormalisedHSICTests {
  typealias Settings = NormalisedHSIC.Settings

  private struct Fixture {
    let criterion: NormalisedHSIC
    let bench: Bench
    let x, z, dz: Matrix
    let classes = 3

    init(_ settings: Settings, samples: Int = 11, inputs: Int = 8, features: Int = 5, seed: UInt64) {
      var work = Layout()
      criterion = NormalisedHSIC(
        settings, samples: samples, inputs: inputs, features: features, in: &work)
      let slots = [inputs, features, features].map { work.add("samples", samples, $0 + 1) }
      bench = Bench(Layout(), work: work, seed: seed)
      x = bench[slots[0]].columns(1..<1 + inputs)
      z = bench[slots[1]].columns(0..<features)
      dz = bench[slots[2]].columns(1..<1 + features)
      for row in 0..<samples { z[row, 0] = x[row, 0] }
    }

    func label(_ row: Int) -> Int { row * row % classes }

    func callAsFunction(ofClasses: Bool, weight: Double = 1) -> (value: Double, gradient: [Float]) {
      Elementwise.fill(dz, 0)
      let value = bench.withWork {
        ofClasses
          ? criterion.value(
            label: label, classes: classes, features: z, adding: dz, weight: weight, $0)
          : criterion.value(inputs: x, features: z, adding: dz, weight: weight, $0)
      }
      return (value, dz.array())
    }

    /// The trace of the product of K H (K H + ε N 1)⁻¹ of both, by the formula.
    func reference(ofClasses: Bool) -> Double {
      let oneHot = StorageBoxed(x.rows, classes)
      for row in 0..<x.rows { oneHot.matrix[row, label(row)] = 1 }
      let (a, b) = (normalised(ofClasses ? oneHot.matrix : x), normalised(z))
      return (0..<a.count).reduce(0.0) { sum, i in
        (0..<a.count).reduce(sum) { $0 + a[i][$1] * b[$1][i] }
      }
    }

    private func normalised(_ samples: Matrix) -> [[Double]] {
      let settings = criterion.settings
      let scale = 2 * settings.sigma * settings.sigma * Double(samples.columns)
      let k = ReferenceSimilarities.distances(samples).map { row in
        row.map { exp(-(settings.isPlain ? $0 : $0 * $0) / scale) }
      }
      let centred = k.map { row in
        let mean = row.reduce(0, +) / Double(row.count)
        return row.map { $0 - mean }
      }
      // R = (KH + ε N 1)⁻¹ KH, by elimination.
      var left = centred
      var right = centred
      for i in left.indices { left[i][i] += settings.epsilon * Double(left.count) }
      for p in left.indices {
        let best = left.indices.dropFirst(p).max { abs(left[$0][p]) < abs(left[$1][p]) }!
        left.swapAt(p, best)
        right.swapAt(p, best)
        for i in left.indices where i != p {
          let factor = left[i][p] / left[p][p]
          for j in left.indices {
            left[i][j] -= factor * left[p][j]
            right[i][j] -= factor * right[p][j]
          }
        }
      }
      return left.indices.map { i in right[i].map { $0 / left[i][i] } }
    }
  }

  static let settings: [Settings] = [
    Settings(), Settings(sigma: 1, epsilon: 0.01), Settings(sigma: 0.5, epsilon: 1),
    Settings(isPlain: true), Settings(sigma: 0.7, epsilon: 0.01, isPlain: true),
  ]

  @Test(arguments: settings, [false, true]) func matchesTheFormula(settings: Settings, ofClasses: Bool) {
    let f = Fixture(settings, seed: 241)
    #expect(abs(f(ofClasses: ofClasses).value - f.reference(ofClasses: ofClasses)) < 1e-7, "seed 241")
  }

  @Test(arguments: settings, [false, true]) func gradients(settings: Settings, ofClasses: Bool) {
    let f = Fixture(settings, seed: 242)
    let gradient = f(ofClasses: ofClasses, weight: 3).gradient
    FiniteDifferences(seed: 242)
      .expect([Differentiable("z", f.z, gradient: gradient)]) { 3 * f.reference(ofClasses: ofClasses) }
  }

  @Test(arguments: settings, [false, true]) func isWithinItsBounds(settings: Settings, ofClasses: Bool) {
    let f = Fixture(settings, seed: 243)
    for scale in [1e-3, 1, 1e3] as [Float] {
      f.z.set(f.z.array().map { $0 * scale })
      let value = f(ofClasses: ofClasses).value
      #expect(value > -1e-9 && value < Double(ofClasses ? f.classes - 1 : f.x.rows - 1), "seed 243")
    }
  }

  @Test(arguments: settings) func equalFeaturesDependOnNothing(settings: Settings) {
    let f = Fixture(settings, seed: 244)
    Elementwise.fill(f.z, 0.3)
    let (value, gradient) = f(ofClasses: false)
    #expect(abs(value) < 1e-9)
    #expect(gradient.allSatisfy { abs($0) < 1e-6 })
  }

  @Test(arguments: [false, true]) func whatIsNotANumberHasNoValue(ofClasses: Bool) {
    let f = Fixture(Settings(), seed: 245)
    f.z[2, 1] = .nan
    let (value, gradient) = f(ofClasses: ofClasses)
    #expect(value.isNaN)
    #expect(gradient.allSatisfy { $0 == 0 })
  }

  @Test func samplesMayBeWide() {
    let f = Fixture(Settings(sigma: 0.5, epsilon: 0.01), inputs: 520, features: 270, seed: 246)
    let (value, gradient) = f(ofClasses: false)
    #expect(abs(value - f.reference(ofClasses: false)) < 1e-8, "seed 246")
    FiniteDifferences(seed: 246)
      .expect([Differentiable("z", f.z, gradient: gradient)]) { f.reference(ofClasses: false) }
  }
}
