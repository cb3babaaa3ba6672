import Engine
import Federation
import Foundation
import GRDB
import Server
import TestSupport
import Testing

@Suite(.unhurried) struct CommittedModelTests {
  private let plan = Plan.tiny(rounds: .list([2, 1]))

  /// Two rounds of stage 1 and one of stage 2, with different models; the store stays open.
  private func withRounds(_ body: (_ path: String, _ models: [RoundKey: Snapshot]) throws -> Void)
    async throws
  {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let store = try Store(path)
      let job = try store.openJob(plan, at: Date())
      var (models, snapshot): ([RoundKey: Snapshot], Snapshot) = ([:], plan.firstSnapshot())
      for (stage, round) in [(1, 1), (1, 2), (2, 1)] {
        if stage > snapshot.stage.index { snapshot = plan.grow(snapshot) }
        let count = snapshot.stage.count
        snapshot = snapshot.replacing(trained: (0..<count).map { Float($0) + Float(round) / 8 })
        let key = RoundKey(stage: stage, round: round)
        let record = try store.openRound(
          key, of: try store.openStage(stage, depth: stage, of: job, at: Date()), at: Date())
        try store.commit(record, snapshot)
        models[key] = snapshot
      }
      try body(path, models)
    }
  }

  @Test func theLastRoundIsTheDefault() async throws {
    try await withRounds { path, models in
      for (stage, round, key) in [
        (nil, nil, RoundKey(stage: 2, round: 1)), (1, nil, RoundKey(stage: 1, round: 2)),
        (1, 1, RoundKey(stage: 1, round: 1)), (2, 1, RoundKey(stage: 2, round: 1)),
      ] as [(Int?, Int?, RoundKey)] {
        let model = try CommittedModel(in: path, stage: stage, round: round)
        #expect(model.key == key && model.plan == plan)
        #expect(model.snapshot.base == models[key]?.base, "\(key)")
      }
    }
  }

  @Test func itsCheckpointIsAsDeepAsTheStageAndKnowsItsOrigin() async throws {
    try await withRounds { path, models in
      let checkpoint = try CommittedModel(in: path, stage: 1).checkpoint
      #expect(checkpoint.configuration.depth == 1)
      #expect(checkpoint.origin == .init(plan: "tiny", stage: 1, round: 2))
      let read = try EncoderCheckpoint(parsing: checkpoint.encoded())
      #expect(read.origin == checkpoint.origin && read.tensors == checkpoint.tensors)
      #expect(!read.tensors.keys.contains { $0.hasPrefix("projector") }, "heads are no part of it")
    }
  }

  /// A server that is writing does not block the reader, nor does the reader block the server.
  @Test func aDatabaseInUseIsReadAsItIs() async throws {
    try await withRounds { path, models in
      try DatabaseQueue(path: path).inTransaction { db in
        try db.execute(sql: "DELETE FROM layers")
        let model = try CommittedModel(in: path)
        #expect(model.snapshot.base == models[model.key]?.base, "what is not committed is not there")
        return .commit
      }
      #expect(throws: StoreError.self) { try CommittedModel(in: path) }
    }
  }

  @Test func whatIsNotThereHasOneLine() async throws {
    try await withRounds { path, _ in
      for (stage, round, text) in [
        (2, 2, "stage 2 round 2 is not committed; the last is stage 2 round 1"),
        (3, nil, "stage 3 is not committed"),
      ] as [(Int?, Int?, String)] {
        let error = #expect(throws: StoreError.self) {
          try CommittedModel(in: path, stage: stage, round: round)
        }
        #expect(error?.description.hasPrefix("\(path): \(text)") == true, "\(error?.description ?? "")")
      }
    }
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("db").path
      func line() -> String {
        #expect(throws: StoreError.self) { try CommittedModel(in: path) }?.description ?? ""
      }
      #expect(line() == "\(path): there is no such file")
      #expect(!FileManager.default.fileExists(atPath: path), "it makes none")
      try await DatabaseQueue(path: path).write { try $0.execute(sql: "CREATE TABLE other (x)") }
      #expect(line() == "\(path): no server has run on it yet")
      try FileManager.default.removeItem(atPath: path)
      _ = try Store(path).openJob(plan, at: Date())
      #expect(line() == "\(path): no round is committed yet")
      try Data(repeating: 65, count: 5000).write(to: URL(fileURLWithPath: path))
      #expect(line().hasPrefix("\(path): "))
    }
  }
}
