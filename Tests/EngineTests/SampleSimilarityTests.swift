import Engine
import Foundation
import Testing

@Suite struct SampleSimilarityTests {
  /// Three sets of samples, of which the second is a function of the first.
  private func samples(_ count: Int, seed: UInt64) -> [StorageBoxed] {
    var random = RandomNumbers(seed, "samples")
    let sets = [(count, 300), (count, 5), (count, 1)].map { StorageBoxed($0.0, $0.1) }
    for set in sets { set.matrix.draw(&random) }
    for row in 0..<count {
      for column in 0..<5 { sets[1].matrix[row, column] = 3 * sets[0].matrix[row, column] - 1 }
    }
    return sets
  }

  @Test(arguments: [1.01, 2, 5]) func matchesTheFormulas(alpha: Double) {
    let sets = samples(17, seed: 231)
    let matrix = SampleSimilarity.information(
      sets.map { SampleSimilarity($0.matrix) }, alpha: alpha, workers: Workers(3))
    let reference = sets.map { ReferenceSimilarities($0.matrix) }
    for (a, row) in matrix.enumerated() {
      for (b, value) in row.enumerated() {
        #expect(abs(value - reference[a].information(reference[b], alpha)) < 1e-9, "seed 231")
        #expect(value == matrix[b][a])
      }
    }
  }

  @Test func aMatrixHasTheInformationOfItsPairs() {
    let variables = samples(11, seed: 232).map { SampleSimilarity($0.matrix) }
    let matrix = SampleSimilarity.information(variables, alpha: 1.01, workers: Workers(1))
    #expect(matrix == SampleSimilarity.information(variables, alpha: 1.01, workers: Workers(4)))
    #expect(matrix[0][2] == variables[0].information(with: variables[2], alpha: 1.01))
    let own = variables[1]
    #expect(
      matrix[1][1] == 2 * own.entropy(alpha: 1.01) - own.jointEntropy(with: own, alpha: 1.01))
    #expect(SampleSimilarity.information([], alpha: 2, workers: Workers(2)).isEmpty)
  }

  /// The entropy of classes of equal size is that of a die, of any order.
  @Test(arguments: [1.01, 2, 4]) func classesOfEqualSize(alpha: Double) {
    let classes = SampleSimilarity(classes: (0..<20).map { $0 % 4 })
    #expect(classes.width == nil && classes.samples == 20)
    #expect(abs(classes.entropy(alpha: alpha) - 2) < 1e-10)
    #expect(abs(classes.information(with: classes, alpha: alpha) - 2) < 1e-10)
    let halves = SampleSimilarity(classes: (0..<20).map { $0 % 2 })
    #expect(abs(classes.information(with: halves, alpha: alpha) - 1) < 1e-10)
    let alike = SampleSimilarity(classes: Array(repeating: 3, count: 20))
    #expect(abs(classes.information(with: alike, alpha: alpha)) < 1e-10)
  }

  @Test func equalSamplesHaveNoEntropyAndDistantOnesAllOfIt() {
    let equal = StorageBoxed(9, 4)
    Elementwise.fill(equal.matrix, -2.7)
    let none = SampleSimilarity(equal.matrix)
    #expect(none.width == 0 && abs(none.entropy(alpha: 1.01)) < 1e-10 && abs(none.entropy(alpha: 2)) < 1e-10)
    let apart = StorageBoxed(9, 1)
    apart.matrix.set((0..<9).map { Float($0) })
    let all = SampleSimilarity(apart.matrix, SimilarityKernel(.gaussian, width: .fixed(0.01)))
    #expect(abs(all.entropy(alpha: 2) - log2(9)) < 1e-10)
    // Pairs of equal samples, with the width of one neighbour.
    apart.matrix.set((0..<9).map { Float($0 / 3) })
    let triples = SampleSimilarity(apart.matrix, SimilarityKernel(.gaussian, width: .nearest(2)))
    #expect(triples.width == 0 && abs(triples.entropy(alpha: 2) - log2(3)) < 1e-10)
  }

  @Test func whatIsNotANumberHasNoEntropy() {
    let sets = samples(8, seed: 233)
    sets[1].matrix[2, 3] = .nan
    let variables = sets.map { SampleSimilarity($0.matrix) }
    let matrix = SampleSimilarity.information(variables, alpha: 1.01, workers: Workers(2))
    #expect(matrix[0][1].isNaN && matrix[1][1].isNaN && !matrix[0][2].isNaN)
  }
}
