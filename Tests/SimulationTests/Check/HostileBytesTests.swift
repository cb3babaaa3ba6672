import Simulation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct HostileBytesTests {
  /// Uses other inputs each time. A trap would end the process, so the seed is logged before.
  @Test func nothingTrapsAndNothingGrows() async throws {
    let seed = UInt64.random(in: 0...1_000_000_000)
    print("hostile bytes from seed \(seed)")
    let outcome = try await HostileBytes.run(inputs: 50_000, seed: seed)
    #expect(outcome.rejected > 10_000 && outcome.understood > 5_000, "\(outcome), seed \(seed)")
    #expect(outcome.mostPending < 2 * WireLimits.frame + 8, "\(outcome), seed \(seed)")
  }
}
