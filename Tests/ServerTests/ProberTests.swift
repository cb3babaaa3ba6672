import Datasets
import Engine
import Federation
import Foundation
import GRDB
import Server
import TestSupport
import Testing

@Suite(.unhurried) struct ProberTests {
  private let now = Date(timeIntervalSince1970: 1_790_000_000)

  private func evaluation(_ plan: Plan) throws -> EncoderEvaluation {
    let input = plan.encoder.input
    return try EncoderEvaluation(
      train: DataSpec(parsing: "shapes:40?channels=1").dataset(role: .train, for: input),
      test: DataSpec(parsing: "shapes:30?channels=1").dataset(role: .test, for: input), seed: 7, threads: 2)
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
      guard case .probed(let key, let accuracy, nil) = await first.next() else {
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

  /// A probe of a classification stores what its exits' report says, and the counts of the last probed round only; a
  /// restart keeps them.
  @Test func exitsOfAClassificationAreStored() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(rounds: .each(2))
      (plan.method.objective, plan.method.alignment) = (.classification, 0)
      plan.method.classification = Plan.Classification(classes: .count(10))
      let path = folder.appendingPathComponent("strata.sqlite").path
      let evaluation = try evaluation(plan)
      let exits = try ExitEvaluation(plan, evaluation.test, threads: 1)
      var committed: [Snapshot] = []
      do {
        let store = try Store(path)
        for number in 1...2 {
          committed.append(try commit(number, plan, store))
          await Prober(plan, store, evaluation, exits: exits, every: 1).finish()
        }
        store.close()
      }
      let rounds = try Store(path).committedRounds().map(\.round)
      for (round, snapshot) in zip(rounds, committed) {
        let report = try #require(exits.result(of: snapshot, plan.augmentation).exits.last?.report)
        #expect(round.metrics[.accuracy] == report.accuracy)
        #expect(round.metrics[.accuracy, layer: "exits.1"] == report.accuracy)
        #expect(round.metrics[.balancedAccuracy] == report.balancedAccuracy)
        #expect(round.metrics[.macroF1] == report.macroF1)
        #expect(round.metrics[.auroc] == nil, "there are ten classes")
        let labels = try #require(evaluation.test.labels)
        let most = Dictionary(labels.map { ($0, 1) }, uniquingKeysWith: +).values.max() ?? 0
        #expect(round.metrics[.majorityBaseline] == Double(most) / Double(labels.count))
      }
      let cells = try await DatabaseQueue(path: path).read { db -> [[Int64?]] in
        try Row.fetchAll(db, sql: "SELECT * FROM confusions ORDER BY label, predicted").map {
          [$0["roundId"], $0["label"], $0["predicted"], $0["count"]]
        }
      }
      let last = try #require(
        committed.last.flatMap { exits.result(of: $0, plan.augmentation).exits.last?.report.cells })
      #expect(
        cells == last.map { [rounds[1].id, Int64($0.label), Int64($0.predicted), Int64($0.count)] })
    }
  }

  /// An analysis has rounds of its own; the last model is always analysed, and has the picture.
  @Test func layersAreAnalysedEverySoManyRounds() async throws {
    try await withTemporaryFolder { folder in
      let plan = Plan.tiny(rounds: .each(5))
      let path = folder.appendingPathComponent("strata.sqlite").path
      let evaluation = try evaluation(plan)
      let layers = try LayerAnalysis(
        plan, evaluation.test, measures: Set(AnalysisMeasure.allCases), samples: 16, threads: 2)
      var committed: [Snapshot] = []
      do {
        let store = try Store(path)
        let (events, heard) = AsyncStream<ServerEvent>.makeStream()
        let prober = Prober(plan, store, evaluation, every: 5, analysis: .init(layers, every: 2)) {
          heard.yield($0)
        }
        var heardEvents = events.makeAsyncIterator()
        for number in 1...2 {
          committed.append(try commit(number, plan, store))
          prober.note()
        }
        guard case .analysed(let key, let depth, let samples) = await heardEvents.next() else {
          Issue.record("no analysis")
          return
        }
        #expect(key.round == 2 && depth == 1 && samples == 16)
        committed.append(try commit(3, plan, store))
        await prober.finish()
        try store.note(try JobEngine(plan, store: store, at: .zero).status(since: now, at: .zero, now))
        store.close()
      }
      let job = try #require(try History(path).job())
      let recorded = job.attempts.filter { $0.record.outcome == .committed }.map(\.record)
      let expected = committed.map { layers.metrics(of: $0) }
      #expect(recorded[0].metrics[.analysisSamples] == nil && recorded[0].metrics.layers.isEmpty)
      for index in 1...2 {
        #expect(recorded[index].metrics.layers == expected[index].layers)
        #expect(recorded[index].metrics[.analysisSamples] == 16)
      }
      #expect(recorded[2].probe != nil && recorded[1].probe == nil)
      let picture = try #require(job.picture)
      #expect(picture.round == recorded[2].id && picture.representations == layers.picture(of: committed[2]))
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
