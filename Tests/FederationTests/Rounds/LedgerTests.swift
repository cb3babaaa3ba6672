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
