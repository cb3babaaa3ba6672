import Engine
import Foundation
import Testing

@Suite struct CentredSimilarityTests {
  typealias Settings = NormalisedHSIC.Settings

  private func samples(_ rows: Int, _ columns: Int, seed: UInt64) -> StorageBoxed {
    let boxed = StorageBoxed(rows, columns)
    var random = RandomNumbers(seed, "samples", columns)
    boxed.matrix.draw(&random)
    return boxed
  }

  private static let settings = [
    Settings(), Settings(sigma: 1, epsilon: 0.01), Settings(sigma: 0.5, epsilon: 1),
    Settings(sigma: 0.7, epsilon: 0.01, isPlain: true),
  ]

  /// Two samples: HKH has the only eigenvalue 1 - k, with the vector (1, -1) / √2 of all variables.
  @Test func twoSamplesByHand() {
    let (x, z) = (StorageBoxed(2, 1), StorageBoxed(2, 2))
    x.matrix.set([0, 3])
    z.matrix.set([0, 0, 1, 2])
    let settings = Settings(sigma: 2, epsilon: 0.05)
    func share(_ k: Double) -> Double { (1 - k) / (1 - k + 2 * settings.epsilon) }
    // |x_1 - x_2|² = 9 in one column; |z_1 - z_2|² = 5 in two; one-hot rows of three classes differ by 2.
    let (kx, kz, ky) = (exp(-9.0 / 8), exp(-5.0 / 16), exp(-2.0 / 24))
    let features = CentredSimilarity(z.matrix, settings)
    let ofInputs = CentredSimilarity(x.matrix, settings).dependence(on: features)
    #expect(abs(ofInputs - share(kx) * share(kz)) < 1e-12)
    let ofClasses = CentredSimilarity(classes: [2, 0], count: 3, settings).dependence(on: features)
    #expect(abs(ofClasses - share(ky) * share(kz)) < 1e-12)
    #expect(abs(features.dependence(on: features) - share(kz) * share(kz)) < 1e-12)
  }

  @Test(arguments: settings) func equalsTheCriterion(settings: Settings) {
    let (x, z) = (samples(13, 9, seed: 251), samples(13, 300, seed: 252))
    for row in 0..<13 { z.matrix[row, 0] = x.matrix[row, 0] }
    var layout = Layout()
    let criterion = NormalisedHSIC(settings, samples: 13, inputs: 9, features: 300, in: &layout)
    let work = Storage(layout)
    let classes = (0..<13).map { $0 * $0 % 4 }
    let features = CentredSimilarity(z.matrix, settings)
    let inputs = CentredSimilarity(x.matrix, settings)
    let expected = criterion.value(inputs: x.matrix, features: z.matrix, work)
    #expect(abs(inputs.dependence(on: features) - expected) < 1e-8, "seeds 251, 252")
    #expect(inputs.dependence(on: features) == features.dependence(on: inputs))
    let ofClasses = criterion.value(label: { classes[$0] }, classes: 4, features: z.matrix, work)
    let own = CentredSimilarity(classes: classes, count: 4, settings).dependence(on: features)
    #expect(abs(own - ofClasses) < 1e-8, "seeds 251, 252")
  }

  @Test func whatIsNotANumberHasNoValue() {
    let (x, z) = (samples(5, 3, seed: 253), samples(5, 3, seed: 254))
    z.matrix[1, 2] = .nan
    let (a, b) = (CentredSimilarity(x.matrix), CentredSimilarity(z.matrix))
    #expect(a.dependence(on: b).isNaN && b.dependence(on: a).isNaN && a.dependence(on: a).isFinite)
  }
}
