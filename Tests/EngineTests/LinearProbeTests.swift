import Engine
import Testing

struct LinearProbeTests {
  /// Returns normal features of `classes` classes, whose centres are `distance` from the origin along one axis each.
  private func clusters(
    _ count: Int, classes: Int, width: Int, distance: Float, seed: UInt64
  ) -> (features: StorageBoxed, labels: [Int]) {
    var random = RandomNumbers(seed)
    let boxed = StorageBoxed(count, width)
    var labels: [Int] = []
    for row in 0..<count {
      let label = row % classes
      labels.append(label)
      for column in 0..<width {
        // The scales differ widely and there is an offset, so the probe must standardise.
        let value = random.normal() + (column == label ? distance : 0)
        boxed.matrix[row, column] = value * Float(1 + 100 * (column % 2)) + 7
      }
    }
    return (boxed, labels)
  }

  @Test(arguments: [1 as UInt64, 2, 3]) func separatesWhatIsSeparable(seed: UInt64) {
    let train = clusters(400, classes: 4, width: 9, distance: 8, seed: seed)
    let test = clusters(200, classes: 4, width: 9, distance: 8, seed: seed + 100)
    let probe = LinearProbe(train.features.matrix, labels: train.labels, classes: 4)
    #expect(probe.accuracy(test.features.matrix, labels: test.labels) > 0.98, "seed \(seed)")
  }

  @Test(arguments: [4 as UInt64, 5]) func findsNothingInNoise(seed: UInt64) {
    let train = clusters(2000, classes: 4, width: 6, distance: 0, seed: seed)
    let test = clusters(2000, classes: 4, width: 6, distance: 0, seed: seed + 100)
    let probe = LinearProbe(train.features.matrix, labels: train.labels, classes: 4)
    let accuracy = probe.accuracy(test.features.matrix, labels: test.labels)
    #expect(abs(accuracy - 0.25) < 0.04, "seed \(seed)")
  }

  @Test func overlappingClassesReachTheBayesRate() {
    // Two normal clusters at distance 2 along one axis: the optimal rule is right with probability Φ(1) = 0.841.
    var random = RandomNumbers(6)
    func draw(_ count: Int) -> (StorageBoxed, [Int]) {
      let boxed = StorageBoxed(count, 2)
      let labels = (0..<count).map { $0 % 2 }
      for row in 0..<count {
        boxed.matrix[row, 0] = random.normal() + Float(2 * labels[row])
        boxed.matrix[row, 1] = random.normal()
      }
      return (boxed, labels)
    }
    let (train, trainLabels) = draw(4000)
    let (test, testLabels) = draw(8000)
    let probe = LinearProbe(train.matrix, labels: trainLabels, classes: 2)
    #expect(abs(probe.accuracy(test.matrix, labels: testLabels) - 0.841) < 0.015)
  }

  @Test func aConstantFeatureHarmsNothing() {
    let train = clusters(300, classes: 3, width: 5, distance: 8, seed: 7)
    for row in 0..<300 { train.features.matrix[row, 4] = 3 }
    let probe = LinearProbe(train.features.matrix, labels: train.labels, classes: 3)
    #expect(probe.accuracy(train.features.matrix, labels: train.labels) > 0.98)
  }

  @Test func isDeterministic() {
    let train = clusters(300, classes: 3, width: 5, distance: 1, seed: 8)
    let accuracies = (0..<3).map { _ in
      LinearProbe(train.features.matrix, labels: train.labels, classes: 3)
        .accuracy(train.features.matrix, labels: train.labels)
    }
    #expect(Set(accuracies).count == 1)
  }
}

/// A matrix that owns its memory.
final class StorageBoxed {
  private let storage: Storage
  private let slot: Slot

  init(_ rows: Int, _ columns: Int) {
    var layout = Layout()
    slot = layout.add("features", rows, columns)
    storage = Storage(layout)
  }

  var matrix: Matrix { storage[slot] }
}
