import Engine
import Federation
import Testing

@Suite struct LedgerTests {
  @Test func startsEmpty() {
    let ledger = Ledger()
    #expect(ledger.admitted.isEmpty && ledger.inClientOrder.isEmpty)
    #expect(ledger.samples == 0 && ledger.loss == nil)
  }

  @Test func weighsLossesBySamples() {
    var ledger = Ledger()
    ledger.admit(.example(samples: 100, loss: 2), from: "b")
    #expect(ledger.loss == 2)
    ledger.admit(.example(samples: 300, loss: 4), from: "a")
    #expect(ledger.samples == 400 && ledger.loss == 3.5)
  }

  /// At most ten times the lower median, or the plan's limit.
  @Test(
    arguments: [
      ([7], nil, [7]), ([5, 1000], nil, [5, 50]), ([100_000_000, 3, 2], nil, [30, 3, 2]),
      ([1, 2, 3, 400], nil, [1, 2, 3, 20]), ([1, 30, 400, 400], nil, [1, 30, 300, 300]),
      ([10, 20, 200], nil, [10, 20, 200]), ([5, 1000], 800, [5, 800]), ([5, 7], 6, [5, 6]), ([9], 2, [2]),
    ] as [([Int], Int?, [Int])]) func claimsCountUpToABound(claims: [Int], most: Int?, counted: [Int])
  {
    var ledger = Ledger(maxSamples: most)
    for (index, samples) in claims.enumerated() {
      ledger.admit(.example(samples: samples, loss: Float(index)), from: "c\(index)")
    }
    #expect(ledger.inClientOrder.map { ledger.counted[$0.client] } == counted)
    #expect(ledger.inClientOrder.map(\.offer.samples) == claims, "what was claimed is known")
    #expect(ledger.cut == claims.indices.filter { claims[$0] != counted[$0] }.map { "c\($0)" })
    let total = counted.reduce(0, +)
    #expect(ledger.samples == total)
    let mean = counted.enumerated().reduce(0) { $0 + $1.offset * $1.element }
    #expect(abs((ledger.loss ?? 0) - Float(mean) / Float(total)) < 1e-5)
  }

  @Test func isTheSameWhateverTheOrderOfArrival() {
    let offers = (0..<12).map { index in
      (client: "c\(index)", offer: UpdateOffer.example(samples: 1 + 37 * index, loss: 1 / Float(3 + index)))
    }
    var reference = Ledger()
    for entry in offers { reference.admit(entry.offer, from: entry.client) }
    let order = ["c0", "c1", "c10", "c11", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"]
    #expect(reference.inClientOrder.map(\.client) == order)
    for seed in UInt64(0)..<20 {
      var numbers = RandomNumbers(seed: seed)
      var ledger = Ledger()
      for entry in offers.shuffled(using: &numbers) { ledger.admit(entry.offer, from: entry.client) }
      #expect(ledger == reference && ledger.inClientOrder.map(\.client) == order, "seed \(seed)")
      #expect(ledger.loss?.bitPattern == reference.loss?.bitPattern, "seed \(seed)")
    }
  }
}
