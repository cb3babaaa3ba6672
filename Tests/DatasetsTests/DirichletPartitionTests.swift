import Datasets
import Testing

@Suite struct DirichletPartitionTests {
  private let set = TestImages.labelled((0..<4000).map { $0 % 10 }, classes: 10)

  /// Returns how far the clients' shares of classes are from those of the whole set: the mean over clients of half the
  /// summed differences, 0 if all are equal and 0.9 if each has a single class.
  private func skew(_ beta: Double, seed: UInt64) throws -> Double {
    let labels = try #require(set.labels)
    let parts = try Partition.dirichlet(beta: beta).split(.images(set), clients: 10, seed: seed)
    let differences = parts.map { part in
      (0..<10).reduce(0.0) { sum, label in
        sum + abs(Double(part.count { labels[$0] == label }) / Double(part.count) - 0.1) / 2
      }
    }
    return differences.reduce(0, +) / 10
  }

  @Test func clientsDifferMoreAsBetaFalls() throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      let skews = try [100, 1, 0.3, 0.02].map { try skew($0, seed: seed) }
      #expect(skews == skews.sorted(), "seed \(seed): \(skews)")
      #expect(skews[0] < 0.1 && skews[3] > 0.6, "seed \(seed): \(skews)")
    }
  }

  /// A beta this small gives each class to one client, so most have no images before the repair.
  @Test func aTinyBetaStillGivesEveryClientTwoImages() throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      let parts = try Partition.dirichlet(beta: 0.0001).split(.images(set), clients: 40, seed: seed)
      #expect(parts.allSatisfy { $0.count >= 2 })
      #expect(Set(parts.flatMap { $0 }).count == 4000)
      #expect(parts.count { $0.count == 2 } >= 25, "seed \(seed)")
    }
  }

  /// Dirichlet(beta) over n clients: the variance of a share is (1/n)(1 - 1/n) / (n beta + 1).
  @Test(arguments: [0.3, 0.8, 5])
  func sharesHaveTheDistributionsVariance(beta: Double) throws {
    let single = TestImages.labelled([Int](repeating: 0, count: 20_000), classes: 1)
    let shares = try (1...200).flatMap { seed in
      try Partition.dirichlet(beta: beta).split(.images(single), clients: 5, seed: UInt64(seed))
        .map { Double($0.count) / 20_000 }
    }
    let variance = shares.reduce(0) { $0 + ($1 - 0.2) * ($1 - 0.2) } / 1000
    let expected = 0.2 * 0.8 / (5 * beta + 1)
    #expect(
      abs(variance / expected - 1) < 0.2, "beta \(beta): \(variance), expected \(expected), seeds 1 to 200")
  }
}
