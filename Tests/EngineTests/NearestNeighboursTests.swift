import Engine
import Foundation
import Testing

@Suite struct NearestNeighboursTests {
  /// Applies the definition in Double, with all similarities sorted.
  private func naive(
    _ test: Matrix, among train: Matrix, labels: [Int], classes: Int, count: Int, temperature: Double
  ) -> [Int] {
    func unit(_ x: Matrix, _ row: Int) -> [Double] {
      let values = x.rows(row..<row + 1).doubles
      let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return values.map { $0 / length }
    }
    let units = (0..<train.rows).map { unit(train, $0) }
    return (0..<test.rows).map { row in
      let x = unit(test, row)
      let similarities = units.map { zip($0, x).reduce(0) { $0 + $1.0 * $1.1 } }
      let nearest = similarities.indices.sorted { similarities[$0] > similarities[$1] }.prefix(count)
      var votes = [Double](repeating: 0, count: classes)
      for index in nearest { votes[labels[index]] += exp(similarities[index] / temperature) }
      return votes.indices.max { votes[$0] < votes[$1] }!
    }
  }

  private func draw(_ rows: Int, _ columns: Int, seed: UInt64) -> StorageBoxed {
    let boxed = StorageBoxed(rows, columns)
    var random = RandomNumbers(seed, "features", rows)
    boxed.matrix.draw(&random)
    // The lengths differ widely, so that a product in place of the cosine would show.
    for row in 0..<rows {
      let scale = random.uniform(0.01, 10)
      for column in 0..<columns { boxed.matrix[row, column] = (boxed.matrix[row, column] + 0.2) * scale }
    }
    return boxed
  }

  /// More rows than a search processes at a time, fewer, and as many; k larger than the set.
  @Test(arguments: [
    (1500, 130, 7, 4, 20), (1024, 64, 16, 10, 1), (1025, 65, 5, 3, 50), (30, 9, 5, 3, 40), (1, 3, 4, 2, 20),
  ])
  func matchesTheDefinition(training: Int, tested: Int, width: Int, classes: Int, count: Int) {
    let seed: UInt64 = 71
    let (train, test) = (draw(training, width, seed: seed), draw(tested, width, seed: seed + 1))
    var random = RandomNumbers(seed, "labels")
    let labels = (0..<training).map { _ in random.below(classes) }
    let expected = naive(
      test.matrix, among: train.matrix, labels: labels, classes: classes, count: count, temperature: 0.07)
    let predicted = NearestNeighbours(count: count).predict(
      test.matrix, among: train.matrix, labels: labels, classes: classes, workers: Workers(2))
    #expect(predicted == expected, "seed \(seed)")
    let accuracy = NearestNeighbours(count: count).accuracy(
      test.matrix, labels: expected, among: train.matrix, labels: labels, classes: classes,
      workers: Workers(1))
    #expect(accuracy == 1)
  }

  @Test func theTemperatureWeighsTheVotes() {
    // One neighbour with cosine 1 for class 0 and three with 0.8 for class 1: the near one wins only at a low
    // temperature.
    let (train, test) = (StorageBoxed(4, 2), StorageBoxed(1, 2))
    train.matrix.set([1, 0, 0.8, 0.6, 0.8, 0.6, 0.8, -0.6])
    test.matrix.set([5, 0])
    for (temperature, expected) in [(0.07 as Float, 0), (1, 1)] {
      let neighbours = NearestNeighbours(temperature: temperature)
      #expect(
        neighbours.predict(
          test.matrix, among: train.matrix, labels: [0, 1, 1, 1], classes: 2, workers: Workers(1))
          == [expected])
    }
  }

  @Test func ofTiesTheFirstCounts() {
    let (train, test) = (StorageBoxed(4, 2), StorageBoxed(2, 2))
    train.matrix.set([0, 1, 2, 0, 3, 0, 1, 0])
    test.matrix.set([1, 0, 0, 7])
    func predict(_ labels: [Int], _ count: Int) -> [Int] {
      NearestNeighbours(count: count).predict(
        test.matrix, among: train.matrix, labels: labels, classes: 3, workers: Workers(1))
    }
    // Images 1, 2 and 3 are equally near to the first row: the earlier ones are its neighbours.
    #expect(predict([0, 2, 1, 1], 1) == [2, 0])
    #expect(predict([0, 1, 2, 2], 1) == [1, 0])
    // A tie of votes goes to the lower class.
    #expect(predict([0, 2, 1, 0], 2) == [1, 0])
    #expect(predict([0, 1, 2, 0], 2) == [1, 0])
  }

  @Test func threadsDoNotChangeAPrediction() {
    let (train, test) = (draw(700, 6, seed: 72), draw(300, 6, seed: 73))
    let labels = (0..<700).map { $0 % 5 }
    let predictions = [1, 2, 3].map {
      NearestNeighbours().predict(
        test.matrix, among: train.matrix, labels: labels, classes: 5, workers: Workers($0))
    }
    #expect(predictions[1] == predictions[0] && predictions[2] == predictions[0])
  }

  /// A row of zeros is equally near to all rows, and a row with NaN to none.
  @Test func rowsWithoutADirectionHarmNothing() {
    let (train, test) = (StorageBoxed(3, 2), StorageBoxed(3, 2))
    train.matrix.set([.nan, 1, 0, 0, 0, 1])
    test.matrix.set([0, 0, .nan, .infinity, 0, 1])
    let predictions = NearestNeighbours(count: 1).predict(
      test.matrix, among: train.matrix, labels: [2, 1, 1], classes: 3, workers: Workers(1))
    #expect(predictions == [1, 0, 1])
  }

  @Test func withoutImagesNothingIsRight() {
    let (train, test) = (draw(3, 2, seed: 1), StorageBoxed(0, 2))
    #expect(
      NearestNeighbours().accuracy(
        test.matrix, labels: [], among: train.matrix, labels: [0, 1, 0], classes: 2, workers: Workers(2)) == 0
    )
  }
}
