import Foundation

/// Weighted k-nearest-neighbours classification by cosine similarity, which measures how close an encoder places images
/// of one class, without training (arXiv 1805.01978, section 3.4).
///
/// The k training images most similar to an image vote for their classes with the weights exp(cos / τ). N training
/// images, M test images, D = width, C classes.
package struct NearestNeighbours: Sendable {
  /// The number of neighbours k; with fewer training images, all of them vote.
  package var count: Int
  /// The temperature τ.
  package var temperature: Float

  package init(count: Int = 20, temperature: Float = 0.07) {
    precondition(count > 0 && temperature > 0, "\(count) neighbours, temperature \(temperature)")
    (self.count, self.temperature) = (count, temperature)
  }

  /// Returns the share of images classified correctly, 0 … 1.        test [M, D], train [N, D]
  package func accuracy(
    _ test: Matrix, labels testLabels: [Int], among train: Matrix, labels: [Int], classes: Int,
    workers: Workers
  ) -> Double {
    precondition(test.rows == testLabels.count, "\(test.rows) rows, \(testLabels.count) labels")
    guard test.rows > 0 else { return 0 }
    let predictions = predict(test, among: train, labels: labels, classes: classes, workers: workers)
    return Double(zip(predictions, testLabels).count { $0 == $1 }) / Double(test.rows)
  }

  /// Returns the class of each image. Ties of similarity go to the earlier image, ties of votes to the lower
  /// class.                                                          test [M, D], train [N, D]
  package func predict(
    _ test: Matrix, among train: Matrix, labels: [Int], classes: Int, workers: Workers
  ) -> [Int] {
    precondition(
      test.columns == train.columns && train.rows == labels.count,
      "\(test.rows) x \(test.columns) among \(train.rows) x \(train.columns), \(labels.count) labels")
    precondition(labels.allSatisfy { (0..<classes).contains($0) }, "a label beyond \(classes) classes")
    var layout = Layout(alignment: 16)
    let (units, lengths) = (layout.add("units", train.rows, train.columns), layout.add("lengths", train.rows))
    let memory = Storage(layout)
    UnitRows.forward(train, into: memory[units], lengths: memory[lengths])
    let searches = (0..<workers.count).map { _ in Search(count: count, width: test.columns) }
    let block = Search.rows
    return [Int](unsafeUninitializedCapacity: test.rows) { predictions, initialized in
      workers.run((test.rows + block - 1) / block) { task, worker in
        let rows = task * block..<min((task + 1) * block, test.rows)
        searches[worker].find(test.rows(rows), among: memory[units]) { row, neighbours in
          predictions[rows.lowerBound + row] = vote(neighbours, labels, classes)
        }
      }
      initialized = test.rows
    }
  }

  private func vote(_ neighbours: [Neighbour], _ labels: [Int], _ classes: Int) -> Int {
    var votes = [Double](repeating: 0, count: classes)
    for neighbour in neighbours {
      votes[labels[neighbour.index]] += exp(Double(neighbour.similarity) / Double(temperature))
    }
    return votes.indices.dropFirst().reduce(0) { votes[$1] > votes[$0] ? $1 : $0 }
  }
}

/// A training image and its similarity.
private struct Neighbour {
  let similarity: Float
  let index: Int
}

/// The search of one worker: a fixed number of rows and training images at a time, so that its memory is constant.
private final class Search {
  static let rows = 64
  private static let columns = 1024

  private let count: Int
  private let storage: Storage
  private let units, lengths, similarities: Slot

  init(count: Int, width: Int) {
    self.count = count
    var layout = Layout(alignment: 16)
    units = layout.add("units", Self.rows, width)
    lengths = layout.add("lengths", Self.rows)
    similarities = layout.add("similarities", Self.rows, Self.columns)
    storage = Storage(layout)
  }

  /// Calls `body` with each row of x and its neighbours among the unit rows, the most similar first.
  func find(_ x: Matrix, among train: Matrix, _ body: (Int, [Neighbour]) -> Void) {
    let units = storage[units].rows(0..<x.rows)
    UnitRows.forward(x, into: units, lengths: storage[lengths])
    var found = [[Neighbour]](repeating: [], count: x.rows)
    for first in stride(from: 0, to: train.rows, by: Self.columns) {
      let part = train.rows(first..<min(first + Self.columns, train.rows))
      let s = storage[similarities].rows(0..<x.rows).columns(0..<part.rows)
      Products.product(units, part.transposed, into: s)
      for r in 0..<x.rows { collect(s.row(r), count: part.rows, from: first, into: &found[r]) }
    }
    for (row, neighbours) in found.enumerated() { body(row, neighbours) }
  }

  private func collect(
    _ similarities: UnsafePointer<Float>, count columns: Int, from first: Int, into found: inout [Neighbour]
  ) {
    var floor = found.count < count ? -Float.infinity : found[count - 1].similarity
    for column in 0..<columns {
      let similarity = similarities[column]
      // The comparison is false for NaN, which is never a neighbour.
      guard similarity > floor else { continue }
      let place = found.firstIndex { $0.similarity < similarity } ?? found.count
      found.insert(Neighbour(similarity: similarity, index: first + column), at: place)
      if found.count > count { found.removeLast() }
      if found.count == count { floor = found[count - 1].similarity }
    }
  }
}
