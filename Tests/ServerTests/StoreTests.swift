import Engine
import Federation
import Foundation
import GRDB
import Server
import TestSupport
import Testing

@Suite(.unhurried) struct StoreTests {
  private let now = Date(timeIntervalSince1970: 1_700_000_000)
  private let plan = Plan.tiny()

  private func withStore(_ body: (Store, _ path: String) throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      try body(try Store(path), path)
    }
  }

  /// Returns numbers from a database, read on a separate connection.
  private func query(_ path: String, _ sql: String) throws -> [Int] {
    try DatabaseQueue(path: path).read { try Int.fetchAll($0, sql: sql) }
  }

  private func openRound(_ store: Store, number: Int = 1) throws -> RoundRecord {
    let job = try store.openJob(plan, at: now)
    let stage = try store.openStage(1, depth: 1, of: job, at: now)
    return try store.openRound(RoundKey(stage: 1, round: number), of: stage, at: now)
  }

  private func offer(_ bytes: Data, samples: Int = 10, loss: Float = 1.5) -> UpdateOffer {
    UpdateOffer(
      key: RoundKey(stage: 1, round: 1), base: Digest(of: Data()), digest: Digest(of: bytes),
      bytes: bytes.count, samples: samples, steps: 3, loss: loss, seconds: 2)
  }

  @Test func aNewFileGetsItsTablesAndAnOldOneKeepsThem() async throws {
    try await withStore { store, path in
      let tables = """
        SELECT count(*) FROM sqlite_master WHERE type = 'table'
        AND name IN ('jobs', 'stages', 'rounds', 'layers', 'weights', 'clients', 'updates')
        """
      #expect(try query(path, tables) == [7])
      let job = try store.openJob(plan, at: now)
      let migrations = try query(path, "SELECT count(*) FROM grdb_migrations")
      let again = try Store(path)
      #expect(try query(path, "SELECT count(*) FROM grdb_migrations") == migrations)
      #expect(try again.openJob(plan, at: now.addingTimeInterval(9)).id == job.id)
      #expect(try query(path, "SELECT count(*) FROM jobs") == [1])
    }
  }

  /// A plan stored before fields were renamed (CHANGELOG.md) keeps its meaning.
  @Test(arguments: [false, true]) func aPlanWithEarlierNamesIsTheSamePlan(isResNet: Bool) async throws {
    var plan = plan
    if isResNet {
      plan.encoder = EncoderConfiguration(ResNetConfiguration(images: ImageInput(side: 16), width: 4))
      plan.method.initialisation = .random
    }
    (plan.round.minimumClients, plan.round.overSelection, plan.round.maxSamples) = (7, 2, 99)
    (plan.round.stragglers, plan.round.timeout) = (.fold, .hours(48))
    plan.method.stageEnd = Plan.StageEnd(.plateau, window: 2, improvement: 0.5, minimum: 4)
    try await withStore { store, path in
      _ = try store.openJob(plan, at: now)
      for rule in [Plan.StragglerRule.fold, .reject] {
        plan.round.stragglers = rule
        var text = plan.yaml()
        for (new, old) in [
          ("minimumClients", "roster"), ("overSelection", "spare"), ("maxSamples", "mostSamples"),
          ("timeout", "patience"), ("stragglers: reject", "late: refuse"), ("stragglers", "late"),
        ] { text = text.replacing("  \(new)", with: "  \(old)") }
        // Fields of the method, without a file of a controller.
        for (new, old) in [
          ("  stageEnd:\n    when", "  curriculum"), ("    window", "  plateauWindow"),
          ("    improvement", "  plateauImprovement"), ("    minimum", "  leastRounds"),
          ("    model: none\n", ""),
        ] { text = text.replacing(new, with: old) }
        if isResNet {
          text = text.replacing("encoder:\n", with: "encoder:\n  patch: 1\n  heads: 1\n  mlpRatio: 4\n")
        }
        #expect(throws: PlanError.self) { try Plan(yaml: text, file: "") }
        try DatabaseQueue(path: path).write { [text] db in
          try db.execute(sql: "UPDATE jobs SET plan = ?", arguments: [text])
        }
        // A server can continue with such a database.
        #expect(try store.openJob(plan, at: now).readPlan() == plan)
      }
    }
  }

  @Test func theFileSurvivesAPowerCut() async throws {
    try await withStore { _, path in
      let mode = try DatabaseQueue(path: path).read { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
      #expect(mode == "wal")
    }
  }

  /// Data written to a deleted file is lost with the process.
  @Test(arguments: ["", "-wal", "-shm"], [false, true])
  func aDatabaseThatIsMovedOrReplacedIsNoticed(file: String, isReplaced: Bool) async throws {
    try await withStore { store, path in
      let job = try store.openJob(plan, at: now)
      try FileManager.default.moveItem(atPath: path + file, toPath: path + file + ".moved")
      if isReplaced { try FileManager.default.copyItem(atPath: path + file + ".moved", toPath: path + file) }
      for _ in 0..<2 {
        let error = #expect(throws: StoreError.self) { try store.finish(job, at: now) }
        let words =
          "it was \(isReplaced ? "replaced" : "moved or removed") while the server used it"
        #expect(error?.description.contains("\(file): \(words)") == true, "\(error!)")
      }
      let unawaited = #expect(throws: StoreError.self) { try store.addTraffic([:], at: now) }
      #expect(unawaited?.description.contains("used it") == true)
    }
  }

  /// The log is next to the database, not next to the link.
  @Test func aDatabaseBehindALinkIsUsed() async throws {
    try await withStore { store, path in
      _ = try store.openJob(plan, at: now)
      try FileManager.default.createSymbolicLink(atPath: path + ".link", withDestinationPath: path)
      let linked = try Store(path + ".link")
      #expect(try linked.openJob(plan, at: now).name == "tiny")
      try FileManager.default.removeItem(atPath: path + ".link")
      #expect(throws: StoreError.self) {
        try linked.openStage(1, depth: 1, of: linked.openJob(plan, at: now), at: now)
      }
    }
  }

  /// An update that could not be flushed is not admitted: the store reports it before it stores anything else.
  @Test func whatDoesNotComeToTheDiskEndsTheStore() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let store = try Store(path)
      let round = try openRound(store)
      let bytes = Data([1, 2, 3])
      var failure: StoreError?
      var number = 0
      // The updates of a second are flushed together, at an unknown time.
      while failure == nil {
        number += 1
        let client = "c\(number)"
        do {
          try store.join(Hello(name: client, software: "test"), at: now)
          try store.admit(offer(bytes), bytes, from: client, to: round, at: now)
          let file = "\(path)-spool/admitted/\(round.id!).\(client)"
          unlink(file)
          // Nothing is read through a link.
          symlink("/dev/null", file)
          try await Task.sleep(for: .milliseconds(20))
        } catch { failure = try #require(error as? StoreError) }
      }
      #expect(failure?.description.contains("-spool/admitted/") == true, "\(failure!)")
      #expect(throws: StoreError.self) { try store.openJob(plan, at: now) }
    }
  }

  @Test func anotherPlanIsRejectedByName() async throws {
    try await withStore { store, _ in
      _ = try store.openJob(plan, at: now)
      var other = plan
      other.local.learningRate *= 2
      let error = #expect(throws: StoreError.self) { try store.openJob(other, at: now) }
      #expect(error?.description.contains("'tiny'") == true)
      #expect(throws: Never.self) { try store.openJob(plan, at: now) }
    }
  }

  @Test func aFileThatIsNoDatabaseIsRejectedByItsPath() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      try Data(repeating: 65, count: 5000).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: StoreError.self) { try Store(path) }
      #expect(error?.description.hasPrefix(path) == true)
      #expect(throws: StoreError.self) { try Store(folder.appendingPathComponent("none/strata.sqlite").path) }
    }
  }

  @Test func aDatabaseOfANewerVersionIsRejected() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      _ = try Store(path)
      try DatabaseQueue(path: path).write { db in
        try db.execute(sql: "INSERT INTO grdb_migrations VALUES ('1000 what is not known yet')")
      }
      let errors = [
        #expect(throws: StoreError.self) { try Store(path) },
        #expect(throws: StoreError.self) { try History(path) },
      ]
      for error in errors {
        let line = try #require(error?.description)
        #expect(line.hasPrefix("\(path): a newer version") && !line.contains("\n"), "\(line)")
      }
    }
  }

  @Test func aCommitStoresEachVersionOnce() async throws {
    try await withStore { store, path in
      let first = plan.firstSnapshot()
      try store.commit(try openRound(store), first)
      let parts = first.manifest.count
      #expect(try query(path, "SELECT count(*) FROM layers") == [parts])
      #expect(try query(path, "SELECT count(*) FROM weights") == [Set(first.manifest.map(\.digest)).count])
      // A copied layer and unchanged layers are not stored again.
      let grown = plan.grow(first)
      let stage = try store.openStage(2, depth: 2, of: try store.openJob(plan, at: now), at: now)
      try store.commit(try store.openRound(RoundKey(stage: 2, round: 1), of: stage, at: now), grown)
      #expect(try query(path, "SELECT count(*) FROM layers") == [parts + grown.manifest.count])
      let versions = Set((first.manifest + grown.manifest).map(\.digest))
      #expect(try query(path, "SELECT count(*) FROM weights") == [versions.count])
      #expect(versions.count == parts, "transfer initialisation copies")
    }
  }

  @Test func theLastCommittedRoundComesBack() async throws {
    try await withStore { store, path in
      let job = try store.openJob(plan, at: now)
      #expect(try store.lastCommitted(of: job) == nil)
      var round = try openRound(store)
      #expect(try store.lastCommitted(of: job) == nil, "it is not committed yet")
      let snapshot = plan.firstSnapshot()
      (round.loss, round.samples, round.seconds, round.finishedAt) = (2.5, 30, 1.25, now)
      try store.commit(round, snapshot)
      let last = try #require(try Store(path).lastCommitted(of: job))
      #expect(last.stage.number == 1 && last.round.number == 1 && last.round.outcome == .committed)
      #expect(last.round.samples == 30 && last.round.seconds == 1.25)
      #expect(try Store(path).committedRounds().first?.round.loss == 2.5)
      #expect(last.parts.map(\.name) == snapshot.manifest.map(\.name))
      #expect(last.parts.map { Digest(of: $0.weights) } == snapshot.manifest.map(\.digest))
    }
  }

  /// Receives an update and admits it.
  private func admit(
    _ offer: UpdateOffer, _ bytes: Data, from name: String, _ round: RoundRecord, _ store: Store
  )
    throws
  {
    try store.updates.open(offer, from: name).write(bytes, at: 0)
    try store.admit(offer, from: name, to: round, at: now)
  }

  private func admittedFiles(_ path: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path + "-spool/admitted").sorted()
  }

  @Test func theBytesOfUpdatesGoWithTheCommitAndTheirRowsStay() async throws {
    try await withStore { store, path in
      let round = try openRound(store)
      for name in ["a", "b", "c"] { try store.join(Hello(name: name, software: "test"), at: now) }
      let bytes = Data([1, 2, 3, 4])
      try admit(offer(bytes), bytes, from: "a", round, store)
      try store.updates.open(offer(bytes), from: "b").write(bytes, at: 0)
      try store.reject(offer(bytes, loss: .nan), from: "b", to: round, .notFinite, at: now)
      try admit(offer(bytes, samples: 7), bytes, from: "c", round, store)
      #expect(try store.update(of: "a", in: round).bytes() == bytes)
      #expect(throws: StoreError.self) { try store.update(of: "b", in: round).bytes() }
      #expect(try admittedFiles(path).count == 2 && !store.updates.holds(offer(bytes), from: "b"))
      try store.commit(round, plan.firstSnapshot())
      // The files are removed by the next round; a store opened later knows that they do not belong to its round.
      var open = Store.UnfinishedRound(record: try openRound(store, number: 2))
      #expect(try store.recover(&open) == [])
      #expect(try admittedFiles(path) == [])
      let rows = try store.updates(of: round)
      #expect(rows.map(\.client) == ["a", "b", "c"])
      #expect(rows.map(\.rejection) == [nil, "notFinite", nil])
      #expect(rows.map(\.loss) == [1.5, nil, 1.5])
      #expect(rows.map(\.samples) == [10, 10, 7] && rows.allSatisfy { $0.bytes == 4 && $0.seconds == 2 })
      #expect(try store.clients().map(\.samples) == [10, 0, 7])
    }
  }

  @Test func anAdmittedUpdateThatAPowerCutHasTakenIsAskedForAgain() async throws {
    try await withStore { store, path in
      let round = try openRound(store)
      let names = ["damaged", "gone", "short", "whole"]
      for name in names { try store.join(Hello(name: name, software: "test"), at: now) }
      try store.ask(names, of: round)
      let bytes = Data([1, 2, 3, 4])
      for name in names { try admit(offer(bytes), bytes, from: name, round, store) }
      let files = try admittedFiles(path).map { path + "-spool/admitted/" + $0 }
      try Data([1, 2, 3, 5]).write(to: URL(fileURLWithPath: files[0]))
      try FileManager.default.removeItem(atPath: files[1])
      try Data([1, 2, 3]).write(to: URL(fileURLWithPath: files[2]))
      let stage = try store.openStage(1, depth: 1, of: try store.openJob(plan, at: now), at: now)
      var open = try #require(try store.openRound(of: stage))
      #expect(open.admitted.map(\.client) == names)
      #expect(try store.recover(&open) == ["damaged", "gone", "short"])
      #expect(open.admitted.map(\.client) == ["whole"])
      #expect(try store.openRound(of: stage)?.admitted.map(\.client) == ["whole"], "and that is stored")
      try admit(offer(bytes), bytes, from: "gone", round, store)
    }
  }

  @Test func aClientIsAdmittedOnceARound() async throws {
    try await withStore { store, _ in
      let round = try openRound(store)
      try store.join(Hello(name: "a", software: "test"), at: now)
      let bytes = Data([1, 2, 3, 4])
      // Rejections may repeat.
      for _ in 0..<2 {
        try store.reject(offer(bytes), from: "a", to: round, .wrongSize, at: now)
      }
      try admit(offer(bytes), bytes, from: "a", round, store)
      #expect(throws: StoreError.self) { try admit(offer(bytes), bytes, from: "a", round, store) }
      #expect(try store.updates(of: round).count == 3)
      let next = try openRound(store, number: 2)
      try admit(offer(bytes), bytes, from: "a", next, store)
    }
  }

  @Test func anUpdateOfAClientThatNeverJoinedIsNotStored() async throws {
    try await withStore { store, _ in
      let round = try openRound(store)
      #expect(throws: StoreError.self) {
        try store.reject(offer(Data([1])), from: "nobody", to: round, .notAssigned, at: now)
      }
    }
  }

  @Test func trafficAddsUpOverConnections() async throws {
    try await withStore { store, path in
      try store.join(Hello(name: "a", software: "one"), at: now)
      try store.addTraffic(["a": (up: 100, down: 2000)], at: now)
      try store.join(Hello(name: "a", software: "two"), at: now.addingTimeInterval(60))
      try store.addTraffic(["a": (up: 1, down: 5_000_000_000)], at: now.addingTimeInterval(70))
      let clients = try Store(path).clients()
      #expect(clients.map(\.name) == ["a"])
      #expect(clients[0].bytesUp == 101 && clients[0].bytesDown == 5_000_002_000)
      #expect(clients[0].software == "two" && clients[0].firstSeen == now)
      #expect(clients[0].lastSeen == now.addingTimeInterval(70))
    }
  }

  @Test func aRoundThatWasLeftOpenGivesWayToTheNextAttempt() async throws {
    try await withStore { store, path in
      _ = try openRound(store)
      let job = try store.openJob(plan, at: now)
      let stage = try store.openStage(1, depth: 1, of: job, at: now)
      #expect(try store.lastAttempt(at: 1, of: stage) == 1)
      #expect(try store.lastAttempt(at: 2, of: stage) == 0)
      let second = try store.openRound(RoundKey(stage: 1, round: 1, attempt: 2), of: stage, at: now)
      #expect(try query(path, "SELECT count(*) FROM rounds WHERE outcome = 'abandoned'") == [1])
      #expect(try query(path, "SELECT attempt FROM rounds WHERE outcome IS NULL") == [2])
      try store.abandon(second, reason: "a test")
      #expect(try query(path, "SELECT count(*) FROM rounds WHERE reason = 'a test'") == [1])
      #expect(try store.committedRounds().isEmpty)
      #expect(try store.lastAttempt(at: 1, of: stage) == 2)
    }
  }
}
