import Engine
import Federation
import Testing

@Suite struct AggregationTests {
  private func mean(_ updates: [(values: [Float], samples: Int)]) -> [Float] {
    var mean = WeightedMean(
      count: updates[0].values.count, samples: updates.reduce(0) { $0 + $1.samples })
    for update in updates {
      update.values.withUnsafeBufferPointer { mean.fold($0, samples: update.samples) }
    }
    return mean.finish().withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  @Test func weighsByImages() {
    // Quarters are exact, so the mean is, too.
    #expect(mean([([1, -2, 0], 100), ([5, 2, 8], 300)]) == [4, 1, 6])
  }

  @Test func anUpdateAloneIsTheMeanToTheBit() {
    let values: [Float] = [0.1, -3e-30, 1e30, .leastNonzeroMagnitude, 0]
    #expect(mean([(values, 7)]) == values)
  }

  @Test func agreesWithDoublePrecision() {
    let seed: UInt64 = 11
    var numbers = RandomNumbers(seed: seed)
    let updates = (0..<9).map { _ in
      ((0..<101).map { _ in Float.random(in: -1...1, using: &numbers) }, numbers.int(1...5000))
    }
    let total = Double(updates.reduce(0) { $0 + $1.1 })
    for (index, value) in mean(updates).enumerated() {
      let exact = updates.reduce(0.0) { $0 + Double($1.0[index]) * Double($1.1) / total }
      #expect(abs(Double(value) - exact) < 1e-6, "seed \(seed), float \(index)")
    }
  }

  @Test func theSameOrderGivesTheSameBits() {
    var numbers = RandomNumbers(seed: 12)
    let updates = (0..<5).map { _ in
      ((0..<1000).map { _ in Float.random(in: -1...1, using: &numbers) }, numbers.int(1...5000))
    }
    #expect(mean(updates).map(\.bitPattern) == mean(updates).map(\.bitPattern))
  }

  @Test func anEmptyUpdateHasAnEmptyMean() { #expect(mean([([], 3), ([], 4)]) == []) }
}
