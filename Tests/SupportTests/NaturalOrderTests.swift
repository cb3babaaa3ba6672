import Engine
import Support
import Testing

@Suite struct NaturalOrderTests {
  @Test func numbersInNamesCountAsNumbers() {
    let names = [
      "", "2", "02", "10", "a", "a1", "a1b", "a2", "a10", "a10b2", "a10b10", "b", "device-2", "device-10",
      "device-10.local", "device-99999999999999999999", "device-100000000000000000000", "device-a",
    ]
    #expect(names.shuffled().sorted { $0.precedesNaturally($1) } == names.sorted { $0.precedesNaturally($1) })
    let order = names.sorted { $0.precedesNaturally($1) }
    for (earlier, later) in [
      ("2", "10"), ("a2", "a10"), ("device-2", "device-10"), ("a10b2", "a10b10"), ("02", "10"), ("a1", "a1b"),
      ("device-99999999999999999999", "device-100000000000000000000"), ("", "2"), ("device-10", "device-a"),
    ] {
      #expect(order.firstIndex(of: earlier)! < order.firstIndex(of: later)!, "\(earlier) \(later)")
    }
  }

  /// Sorting requires a strict total order.
  @Test func itIsAStrictTotalOrder() {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = RandomNumbers(seed)
    let letters = Array("a0-1é9")
    let names = Set(
      (0..<60).map { _ in
        String(
          (0..<Int.random(in: 0...4, using: &numbers)).map { _ in letters.randomElement(using: &numbers)! })
      })
    for a in names {
      #expect(!a.precedesNaturally(a), "seed \(seed): \(a)")
      for b in names where a != b {
        #expect(a.precedesNaturally(b) != b.precedesNaturally(a), "seed \(seed): \(a) \(b)")
        for c in names where a.precedesNaturally(b) && b.precedesNaturally(c) {
          #expect(a.precedesNaturally(c), "seed \(seed): \(a) \(b) \(c)")
        }
      }
    }
  }
}
