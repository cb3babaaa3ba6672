import Engine
import Testing

@Suite struct SmoothnessTests {
  private func distance(_ rows: [[Float]]) -> Double {
    let x = Storage(0..<rows.count * rows[0].count)
    let matrix = x.all.reshaped(rows.count, rows[0].count)
    matrix.set(rows.flatMap { $0 })
    return Smoothness.distance(matrix, Workers(2))
  }

  @Test func directionsAloneCount() {
    #expect(distance([[1, 0], [5, 0], [0.001, 0]]) < 1e-7)
    #expect(abs(distance([[2, 0], [0, 3]]) - 2.0.squareRoot()) < 1e-7)
    #expect(abs(distance([[2, 0], [-1, 0]]) - 2) < 1e-7)
    // A row of zeros stays: it is 1 away from every other.
    #expect(abs(distance([[0, 0], [0, 7]]) - 1) < 1e-7 && distance([[0, 0], [0, 0]]) == 0)
    #expect(distance([[1, 2]]) == 0)
    // The digits of close rows are not lost.
    #expect(abs(distance([[1, 0], [1, 1e-4]]) - 1e-4) < 1e-9)
  }

  /// The sample of many rows is fixed, and its mean near that of all pairs.
  @Test func manyRowsAreSampled() {
    let (count, width) = (3000, 4)
    let x = Storage(0..<count * width)
    var random = RandomNumbers(309)
    x.all.draw(&random)
    let matrix = x.all.reshaped(count, width)
    let distances = [1, 2].map { Smoothness.distance(matrix, Workers($0)) }
    #expect(distances[0] == distances[1])
    var (sum, pairs) = (0.0, 0.0)
    for i in stride(from: 0, to: count, by: 7) {
      for j in i + 1..<count {
        let (a, b) = (matrix.rows(i..<i + 1).doubles, matrix.rows(j..<j + 1).doubles)
        let lengths = [a, b].map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        sum += zip(a, b).reduce(0) {
          $0 + ($1.0 / lengths[0] - $1.1 / lengths[1]) * ($1.0 / lengths[0] - $1.1 / lengths[1])
        }
        .squareRoot()
        pairs += 1
      }
    }
    #expect(abs(distances[0] - sum / pairs) < 0.02, "seed 309")
  }
}
