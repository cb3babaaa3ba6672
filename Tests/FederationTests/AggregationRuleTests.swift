import Engine
import Federation
import Testing

@Suite struct AggregationRuleTests {
  private func updates(_ clients: Int, _ count: Int, seed: UInt64) -> [[Float]] {
    (0..<clients).map { client in
      var random = RandomNumbers(seed, "update", client)
      return (0..<count).map { _ in random.normal() }
    }
  }

  @Test(arguments: 1...7) func areThoseOfSortedValues(clients: Int) {
    let updates = updates(clients, 20, seed: 11)
    let median = CoordinateRules.median(of: updates)
    let trimmed = CoordinateRules.trimmedMean(of: updates, trim: 2)
    for index in 0..<20 {
      let sorted = updates.map { Double($0[index]) }.sorted()
      let middle = (sorted[(clients - 1) / 2] + sorted[clients / 2]) / 2
      #expect(abs(Double(median[index]) - middle) < 1e-6, "seed 11")
      let trim = min(2, (clients - 1) / 2)
      let kept = sorted[trim..<clients - trim]
      #expect(abs(Double(trimmed[index]) - kept.reduce(0, +) / Double(kept.count)) < 1e-6, "seed 11")
    }
  }

  /// One client in five sends arbitrary values, and the result stays within the others' values.
  @Test func oneLiarDoesNotMoveThem() {
    var updates = updates(5, 30, seed: 12)
    let honest = Array(updates[1...])
    updates[0] = updates[0].map { _ in 1e30 }
    for result in [CoordinateRules.median(of: updates), CoordinateRules.trimmedMean(of: updates, trim: 1)] {
      for (index, value) in result.enumerated() {
        let others = honest.map { $0[index] }
        #expect(value >= others.min()! && value <= others.max()!, "seed 12")
      }
    }
  }
}
