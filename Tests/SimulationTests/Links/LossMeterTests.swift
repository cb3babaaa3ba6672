import Engine
import Simulation
import Testing

@Suite struct LossMeterTests {
  private func meter(_ percent: Double, _ seed: UInt64) -> LossMeter {
    var numbers = RandomNumbers(seed)
    return LossMeter(percent: percent, &numbers)
  }

  @Test func withoutLossNothingIsCut() {
    let meter = meter(0, 1)
    for _ in 0..<100 { #expect(meter.take(1 << 40) == 1 << 40) }
  }

  /// A cut occurs at the same byte, however the bytes are counted, and no later byte passes.
  @Test func theSeedSaysWhereItIsCut() {
    for seed in UInt64(0)..<100 {
      let whole = meter(50, seed).take(1 << 40)
      let pieces = meter(50, seed)
      var sum = 0
      while case let count = pieces.take(1000), count > 0 { sum += count }
      #expect(sum == whole && pieces.take(1) == 0, "seed \(seed)")
    }
  }

  /// The percentage is the share of connections that are cut within a megabyte and, of the others, within a second one.
  @Test(arguments: [5.0, 20, 90]) func theChanceIsThatOfAMegabyte(percent: Double) {
    let all = (UInt64(0)..<20_000).map { meter(percent, $0).take(1 << 40) }
    let second = all.filter { $0 >= 1_000_000 }
    for (connections, end) in [(all, 1_000_000), (second, 2_000_000)] {
      let (count, share) = (Double(connections.count), percent / 100)
      let cut = Double(connections.count { $0 < end }) / count
      // The seeds are fixed; five standard deviations hold for any good seeds.
      #expect(abs(cut - share) < 5 * (share * (1 - share) / count).squareRoot(), "\(cut) before \(end)")
    }
  }
}
