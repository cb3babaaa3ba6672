import Engine
import Foundation
import Testing

@Suite struct CrossEntropyTests {
  @Test(arguments: [(1, 1), (1, 2), (5, 3), (7, 17)]) func matchesTheFormula(rows: Int, classes: Int) {
    var random = RandomNumbers(61, "logits", rows, classes)
    let y = StorageBoxed(rows, classes)
    y.matrix.draw(&random, deviation: 4)
    let before = y.matrix.doubles
    let labels = (0..<rows).map { _ in random.below(classes) }
    let loss = Double(CrossEntropy.loss(y.matrix) { labels[$0] })
    var expected = 0.0
    for r in 0..<rows {
      let row = before[r * classes..<(r + 1) * classes].map { $0 }
      let sum = row.map(exp).reduce(0, +)
      expected += log(sum) - row[labels[r]]
      for c in 0..<classes {
        let gradient = (exp(row[c]) / sum - (c == labels[r] ? 1 : 0)) / Double(rows)
        #expect(abs(Double(y.matrix[r, c]) - gradient) < 1e-6, "(\(r), \(c)), seed 61")
      }
    }
    expected /= Double(rows)
    #expect(abs(loss - expected) < 1e-5 * max(1, expected), "seed 61")
  }

  @Test func largeLogitsStayFinite() {
    let y = StorageBoxed(2, 3)
    y.matrix.set([1000, -1000, 0, -1e6, -1e6, -1e6])
    let loss = CrossEntropy.loss(y.matrix) { [1, 2][$0] }
    #expect(abs(loss - 1000) < 1, "\(loss)")
    #expect(y.matrix.array().allSatisfy { $0.isFinite })
  }
}
