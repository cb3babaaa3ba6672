import Engine
import Federation
import Foundation
import Server
import TestSupport
import Testing

/// A plan's `initial`, from the file to the models of the stages.
@Suite(.unhurried) struct InitialFileTests {
  private static let name = "start.safetensors"

  private func plan(_ strategy: Strategy = .layerWise) -> Plan {
    var plan = Plan.tiny(rounds: .each(2))
    plan.method.strategy = strategy
    plan.initial = Self.name
    return plan
  }

  /// Writes an encoder of another seed with `depth` blocks. Returns its model.
  private func write(_ plan: Plan, depth: Int = 2, seed: UInt64 = 99, to folder: URL) throws -> Snapshot {
    var other = plan
    (other.seed, other.method.initialisation) = (seed, .random)
    var snapshot = other.firstSnapshot()
    while snapshot.stage.model.depth < depth { snapshot = other.grow(snapshot) }
    try EncoderCheckpoint(snapshot, plan.augmentation).encoded()
      .write(to: folder.appendingPathComponent(Self.name))
    return snapshot
  }

  private func engine(_ plan: Plan, _ folder: URL) throws -> (engine: JobEngine, store: Store) {
    let store = try Store(folder.appendingPathComponent("strata.sqlite").path)
    return (try JobEngine(plan, store: store, folder: folder, at: .zero), store)
  }

  /// Commits rounds without clients until `last`; a job engine begins each.
  private func commit(_ plan: Plan, to last: RoundKey, _ folder: URL) throws {
    while true {
      let (engine, store) = try engine(plan, folder)
      let key = engine.round.key
      let stage = try store.openStage(
        key.stage, depth: engine.snapshot.stage.model.depth, of: try store.openJob(plan, at: Date()),
        at: Date())
      let open = try #require(try store.openRound(of: stage))
      try store.commit(open.record, engine.snapshot)
      if key == last { return }
    }
  }

  private func digests(_ snapshot: Snapshot) -> [String: Digest] {
    Dictionary(uniqueKeysWithValues: snapshot.manifest.map { ($0.name, $0.digest) })
  }

  private func rejection(_ plan: Plan, _ folder: URL) -> String {
    let error = #expect(throws: ServerError.self) { try engine(plan, folder) }
    guard case .initial(let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return ""
    }
    #expect(error?.description == "initial: \(reason)" && !reason.contains("\n"))
    return reason
  }

  /// The encoder exported after stage 1 is the start of stage 1 of the next job.
  @Test(arguments: Strategy.allCases) func aRoundTripGivesTheSameEncoder(strategy: Strategy) async throws {
    try await withTemporaryFolder { folder in
      let plan = plan(strategy)
      let from = try write(plan, depth: strategy.hasSingleStage ? 2 : 1, to: folder)
      let (engine, _) = try engine(plan, folder)
      #expect(engine.snapshot.encoderDigest == from.encoderDigest)
      var without = plan
      without.initial = nil
      let heads = digests(without.firstSnapshot())["projector"]
      #expect(digests(engine.snapshot)["projector"] == heads, "heads start as ever")
    }
  }

  /// A later stage's block comes from the file, and everything else from the stage below.
  @Test func aDeeperFileGivesEachStageItsBlock() async throws {
    try await withTemporaryFolder { folder in
      let from = digests(try write(plan(), to: folder))
      try commit(plan(), to: RoundKey(stage: 1, round: 2), folder)
      let (engine, _) = try engine(plan(), folder)
      let now = digests(engine.snapshot)
      #expect(engine.round.key.stage == 2 && now["blocks.1"] == from["blocks.1"])
      for name in ["stem", "blocks.0", "norm"] { #expect(now[name] == from[name]) }
    }
  }

  @Test func aBlockThatTheFileLacksStartsAsThePlanSays() async throws {
    try await withTemporaryFolder { folder in
      let from = digests(try write(plan(), depth: 1, to: folder))
      try commit(plan(), to: RoundKey(stage: 1, round: 2), folder)
      let now = digests(try engine(plan(), folder).engine.snapshot)
      #expect(now["blocks.1"] == from["blocks.0"], "a copy of the layer below")
    }
  }

  @Test func anotherFileIsRejectedWhileAStageIsToStartFromIt() async throws {
    try await withTemporaryFolder { folder in
      _ = try write(plan(), to: folder)
      try commit(plan(), to: RoundKey(stage: 1, round: 1), folder)
      _ = try write(plan(), seed: 100, to: folder)
      let line = rejection(plan(), folder)
      #expect(line.contains(Self.name) && line.contains("not the file that the job began with"), "\(line)")
      _ = try write(plan(), to: folder)
      #expect(throws: Never.self) { try engine(plan(), folder) }
    }
  }

  @Test func withoutTheFileTheJobGoesOnOnceTheLastStageHasARound() async throws {
    try await withTemporaryFolder { folder in
      _ = try write(plan(), to: folder)
      let file = folder.appendingPathComponent(Self.name)
      try commit(plan(), to: RoundKey(stage: 1, round: 2), folder)
      let bytes = try Data(contentsOf: file)
      try FileManager.default.removeItem(at: file)
      let line = rejection(plan(), folder)
      #expect(
        line.contains(file.path) && line.contains("no such file") && line.contains("stage 2"), "\(line)")
      try bytes.write(to: file)
      try commit(plan(), to: RoundKey(stage: 2, round: 1), folder)
      try FileManager.default.removeItem(at: file)
      #expect(try engine(plan(), folder).engine.round.key == RoundKey(stage: 2, round: 2))
    }
  }

  @Test func aFileThatCannotBeUsedIsRejectedBeforeAnythingRuns() async throws {
    try await withTemporaryFolder { folder in
      #expect(rejection(plan(), folder).contains("no such file"))
      let file = folder.appendingPathComponent(Self.name)
      try Data("what?".utf8).write(to: file)
      #expect(rejection(plan(), folder).hasPrefix("\(file.path): "))
      var wider = plan()
      wider.encoder.width = 16
      _ = try write(wider, to: folder)
      #expect(rejection(plan(), folder).contains("cls_token is [1, 1, 16], where this encoder has [1, 1, 8]"))
    }
  }

  @Test func anAbsolutePathIsTakenAsItIs() async throws {
    try await withTemporaryFolder { folder in
      var plan = plan()
      let from = try write(plan, to: folder)
      plan.initial = folder.appendingPathComponent(Self.name).path
      let store = try Store(folder.appendingPathComponent("db").path)
      let snapshot = try JobEngine(plan, store: store, at: .zero).snapshot
      #expect(digests(snapshot)["stem"] == digests(from)["stem"])
    }
  }

  /// The digest is recorded once, and a finished job keeps it.
  @Test func theDigestIsNoted() async throws {
    try await withTemporaryFolder { folder in
      _ = try write(plan(), to: folder)
      let bytes = try Data(contentsOf: folder.appendingPathComponent(Self.name))
      let (_, store) = try engine(plan(), folder)
      let job = try store.openJob(plan(), at: Date())
      #expect(job.initial == Digest(of: bytes))
      let other = try store.pin(Digest(of: Data()), as: .initial, of: job)
      #expect(other?.contains("instead of \(Digest(of: bytes))") == true, "the first stays")
      try store.finish(job, at: Date())
      #expect(try store.openJob(plan(), at: Date()).initial == job.initial)
    }
  }
}
