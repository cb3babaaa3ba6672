import Datasets
import Engine
import Federation
import Foundation
import Server
import TestSupport
import Testing

@Suite(.unhurried) struct ProberTests {
  private let now = Date(timeIntervalSince1970: 1_790_000_000)

  private func evaluation(_ plan: Plan) throws -> EncoderEvaluation {
    let fit = ImageFit(plan.encoder)
    return try EncoderEvaluation(
      train: DataSpec(parsing: "shapes:40?channels=1").load(role: .train, for: fit),
      test: DataSpec(parsing: "shapes:30?channels=1").load(role: .test, for: fit), seed: 7, threads: 2)
  }

  /// Commits a round with the plan's initial weights under a different seed each time.
  private func commit(_ number: Int, _ plan: Plan, _ store: Store) throws -> Snapshot {
    let stage = try store.openStage(1, depth: 1, of: store.openJob(plan, at: now), at: now)
    var other = plan
    other.seed = UInt64(number)
    let snapshot = other.firstSnapshot()
    try store.commit(
      try store.openRound(RoundKey(stage: 1, round: number), of: stage, at: now), snapshot)
    return snapshot
  }

  @Test func everySecondRoundAndTheLastAreProbed() async throws {
    try await withTemporaryFolder { folder in
      let plan = Plan.tiny(rounds: .each(5))
      let store = try Store(folder.appendingPathComponent("strata.sqlite").path)
      let evaluation = try evaluation(plan)
      let (events, heard) = AsyncStream<ServerEvent>.makeStream()
      let prober = Prober(plan, store, evaluation, every: 2) { heard.yield($0) }
      var first = events.makeAsyncIterator()
      _ = try commit(1, plan, store)
      prober.note()
      let second = try commit(2, plan, store)
      prober.note()
      guard case .probed(let key, let accuracy) = await first.next() else {
        Issue.record("no probe")
        return
      }
      #expect(key.round == 2)
      #expect(try accuracy == evaluation.linearProbe(of: EncoderCheckpoint(second, plan.augmentation)))
      let third = try commit(3, plan, store)
      await prober.finish()
      let probes = try store.committedRounds().map(\.round.probe)
      let last = try evaluation.linearProbe(of: EncoderCheckpoint(third, plan.augmentation))
      #expect(probes == [nil, accuracy, last])
    }
  }

  @Test func withoutARoundThereIsNothingToProbe() async throws {
    try await withTemporaryFolder { folder in
      let plan = Plan.tiny(rounds: .each(1))
      let store = try Store(folder.appendingPathComponent("strata.sqlite").path)
      let prober = Prober(plan, store, try evaluation(plan), every: 1) { Issue.record("\($0)") }
      await prober.finish()
      #expect(try store.committedRounds().isEmpty)
    }
  }
}
