import Foundation
import Simulation
import TestSupport
import Testing

@Suite(.unhurried) struct CheckTests {
  /// Uses other seeds each time. Failing seeds are printed, and fail again with `fedsim check --seeds N..N`.
  @Test func federationsSurviveTheirFaults() async throws {
    let first = UInt64.random(in: 0...1_000_000_000)
    var (rounds, late) = (0, 0)
    for seed in first..<first + 300 {
      let outcome = try await Check.run(seed: seed)
      (rounds, late) = (rounds + outcome.rounds, late + outcome.late)
      if let failure = outcome.failure { Issue.record("seed \(seed): \(failure)") }
    }
    #expect(late > 10, "hardly anything was folded in from seed \(first) on")
    #expect(rounds > 300, "hardly anything was committed from seed \(first) on")
  }

  @Test func aSeedIsRepeatedExactly() async throws {
    for seed in [3, 77, 1234] as [UInt64] {
      let (one, other) = (try await Check.run(seed: seed), try await Check.run(seed: seed))
      #expect(one.rounds == other.rounds && one.events == other.events, "seed \(seed)")
    }
  }
}
