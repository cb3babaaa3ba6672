import TestSupport
import Engine
import Federation
import Foundation
import Server
import Synchronization
import Testing
import Wire

/// The job engine's rules of admission, without sockets or clocks.
@Suite struct JobEngineTests {
  @Test func anUpdateBeyondTheNormLimitIsRejected() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2)
      plan.round.normLimit = 0.5
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      #expect(try driver.submit("a", distance: 0.499) == nil)
      #expect(try driver.submit("b", distance: 0.501) == .overNorm)
      #expect(try driver.submit("c", distance: -0.499) == nil)
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 1), "two of three are a quorum")
    }
  }

  /// Without certificates a peer may use any number of names: no data by name may grow with clients that have left.
  @Test func namesThatLeftAreForgotten() async throws {
    try await withTemporaryFolder { folder in
      var driver = try JobEngineDriver(Plan.tiny(cohort: 2, quorum: 2), folder, ["here"])
      let digest = Digest(of: Data())
      let vain = UpdateOffer(
        key: RoundKey(stage: 1, round: 99), base: digest, digest: digest, bytes: 4, samples: 1, steps: 1,
        loss: 1, seconds: 1)
      let names = 4500
      for number in 0..<names {
        let name = "n\(number)"
        let hello = Hello(name: name, software: "test", codecs: [.int8], layers: [digest])
        try driver.follow(driver.engine.join(hello, at: .zero))
        _ = try driver.judge(vain, Data(), from: name)
        let decline = Decline(key: driver.engine.round.key, reason: "busy", seconds: 100_000)
        try driver.follow(driver.engine.take(decline, from: name, at: .zero))
        try driver.follow(driver.engine.leave(name, at: .zero))
      }
      var sizes: [String: Int] = [:]
      for child in Mirror(reflecting: driver.engine).children {
        guard Mirror(reflecting: child.value).displayStyle == .dictionary else { continue }
        sizes[child.label ?? ""] = Mirror(reflecting: child.value).children.count
      }
      #expect(sizes.count >= 5 && sizes.values.allSatisfy { $0 <= 4200 }, "\(sizes)")
    }
  }

  @Test func withoutALimitAnyDistanceGoes() async throws {
    try await withTemporaryFolder { folder in
      var driver = try JobEngineDriver(Plan.tiny(cohort: 1), folder, ["a"])
      #expect(try driver.submit("a", distance: 1000) == nil)
    }
  }

  @Test func whoIsRejectedThreeTimesInARowRestsForFiveRounds() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2, rounds: .each(10))
      plan.round.normLimit = 0.5
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      var asked: [Bool] = []
      var told: [Int?] = []
      for round in 1...10 {
        asked.append(driver.assignments["c"] != nil)
        told.append(driver.engine.status(since: Date(), at: driver.now, Date()).notAsked?.first?.rounds)
        // The faulty client is first: the round continues without it, as soon as the others are here.
        if driver.assignments["c"] != nil { #expect(try driver.submit("c", distance: 2) == .overNorm) }
        for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.001) == nil, "round \(round)") }
      }
      #expect(asked == [true, true, true, false, false, false, false, true, true, true])
      #expect(told == [nil, nil, nil, 4, 3, 2, 1, nil, nil, nil])
      #expect(driver.notes.contains { if case .rests("c", 5) = $0 { true } else { false } })
    }
  }

  @Test func anAdmittedUpdateBetweenTwoRejectionsIsForgiven() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 1, rounds: .each(8))
      plan.round.normLimit = 0.5
      var driver = try JobEngineDriver(plan, folder, ["a", "b"])
      for distance: Float in [2, 2, 0.1, 2, 2, 0.1] {
        _ = try driver.submit("b", distance: distance)
        #expect(try driver.submit("a", distance: 0.1) == nil)
        #expect(driver.assignments["b"] != nil)
      }
    }
  }

  /// The time of a round does not include waiting for clients, and does not depend on changes of the date.
  @Test(arguments: [(3600, 12), (-3600, 12), (3600, -86_400), (0, 2_592_000)] as [(Double, Double)])
  func waitingIsNotPartOfARoundsLength(waited: Double, trained: Double) async throws {
    try await withTemporaryFolder { folder in
      let date = Mutex(Date(timeIntervalSince1970: 1_790_000_000))
      let store = try Store(folder.appendingPathComponent("strata.sqlite").path)
      let engine = try JobEngine(Plan.tiny(cohort: 1), store: store, at: .zero) { date.withLock { $0 } }
      _ = engine.advance(at: .zero)
      date.withLock { $0 += waited }
      let effects = engine.join(Hello(name: "a", software: "test"), at: .seconds(3600))
      date.withLock { $0 += trained }
      try finish(effects, engine, store, at: .seconds(3612))
      let round = try #require(try store.committedRounds().first?.round)
      #expect(round.seconds == 12 && round.waited == 3600)
    }
  }

  /// No clock survives a restart: the time of a continued round counts from then on.
  @Test func aRoundThatGoesOnCountsFromTheStart() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let first = try JobEngine(Plan.tiny(cohort: 1), store: try Store(path), at: .zero) {
        Date(timeIntervalSince1970: 1_790_000_000)
      }
      _ = first.advance(at: .zero)
      _ = first.join(Hello(name: "a", software: "test"), at: .seconds(100))
      let store = try Store(path)
      let second = try JobEngine(Plan.tiny(cohort: 1), store: store, at: .seconds(5)) {
        Date(timeIntervalSince1970: 1_700_000_000)
      }
      _ = second.advance(at: .seconds(5))
      let effects = second.join(Hello(name: "a", software: "test"), at: .seconds(8))
      try finish(effects, second, store, at: .seconds(20))
      let round = try #require(try store.committedRounds().first?.round)
      #expect(round.seconds == 12 && round.waited == 100)
    }
  }

  /// Submits the update that an assignment among the effects asks for, and ends the round.
  private func finish(_ effects: [JobEngine.Effect], _ engine: JobEngine, _ store: Store, at now: Duration)
    throws
  {
    let assignment = try #require(
      effects.lazy.compactMap { if case .send(.assignment(let one), _) = $0 { one } else { nil } }.first)
    let bytes = Data(count: engine.snapshot.trained(keeping: [0]).reduce(0) { $0 + $1.bytes })
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
      bytes: bytes.count, samples: 10, steps: 1, loss: 1, seconds: 1)
    try store.updates.open(offer, from: "a").write(bytes, at: 0)
    for effect in engine.judge(offer, isHere: true, fault: nil, from: "a", at: now) {
      guard case .aggregate(let aggregator) = effect else { continue }
      _ = engine.finishAggregation(try aggregator.run(threads: 1), at: now)
    }
  }

  /// Only the operator can repair a full disk: clients retry, and get no tables or paths.
  @Test func clientsComeBackToAServerWithABrokenDatabase() async throws {
    try await withTemporaryFolder { folder in
      let driver = try JobEngineDriver(Plan.tiny(), folder, ["a"])
      let error = StoreError("strata.sqlite: database or disk is full")
      let goodbyes = driver.engine.stop(because: error).compactMap { effect in
        if case .end(.failure(let why), let goodbye) = effect, why is StoreError { goodbye } else { nil }
      }
      #expect(goodbyes == [Goodbye(.stopping, "the server cannot use its database")])
    }
  }

  /// Resting must not stop the job.
  @Test func theRestingAreAskedWhereTheOthersAreNoQuorum() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, rounds: .each(8), attempts: 10)
      plan.round.normLimit = 0.5
      var driver = try JobEngineDriver(plan, folder, ["a", "b"])
      for _ in 0..<3 {
        // A quorum is out of reach, and the round is tried again.
        #expect(try driver.submit("b", distance: 2) == .overNorm)
        try driver.wait(plan.round.deadline.duration)
      }
      #expect(driver.notes.contains { if case .rests("b", _) = $0 { true } else { false } })
      #expect(driver.assignments["b"] != nil, "a alone is no quorum")
    }
  }

  /// The changes of a slow device's update are added to the model that the others have trained meanwhile.
  @Test(arguments: [Plan.StragglerRule.fold, .reject]) func aLateUpdateIsFoldedInOrRejected(
    rule: Plan.StragglerRule
  )
    async throws
  {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2, rounds: .each(3))
      plan.round.stragglers = rule
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      let slow = try #require(driver.assignments["c"])
      let old = driver.trained(slow)
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.25) == nil) }
      try driver.wait(plan.round.deadline.duration)
      let new = driver.trained(slow)
      #expect(driver.engine.round.key.round == 2 && new != old)
      #expect(driver.releases == (rule == .fold ? [] : ["c"]))
      let verdict = try driver.submit(old.map { $0 + 0.5 }, slow, from: "c")
      guard rule == .fold else { return #expect(verdict == .wrongRound) }
      #expect(verdict == nil)
      // The others change nothing, so a third of the late difference remains.
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0) == nil) }
      let result = driver.trained(slow)
      #expect(driver.engine.round.key.round == 3)
      for (before, after) in zip(new, result) { #expect(abs(after - before - 0.5 / 3) < 1e-5) }
    }
  }

  @Test func aLateUpdateIsHeldToTheSameRules() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2, rounds: .each(3))
      (plan.round.stragglers, plan.round.normLimit) = (.fold, 0.5)
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      let slow = try #require(driver.assignments["c"])
      let old = driver.trained(slow)
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.4) == nil) }
      try driver.wait(plan.round.deadline.duration)
      // Not from another client, and not beyond the plan's norm limit.
      #expect(try driver.submit(old, slow, from: "a") == .wrongRound)
      #expect(try driver.submit(old.map { $0 * 2 }, slow, from: "c") == .overNorm)
      #expect(try driver.submit(old, slow, from: "c") == .wrongRound, "it was rejected, and that is that")
    }
  }

  /// Stages train different layers.
  @Test func nothingIsFoldedIntoAnotherStage() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2, rounds: .each(1))
      plan.round.stragglers = .fold
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c"])
      let slow = try #require(driver.assignments["c"])
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.25) == nil) }
      try driver.wait(plan.round.deadline.duration)
      #expect(driver.engine.round.key.stage == 2 && driver.releases == ["c"])
      #expect(try driver.submit(driver.trained(slow), slow, from: "c") == .wrongRound)
    }
  }

  /// A claim must not dominate the model; the samples that count are stored and reported.
  @Test(arguments: [nil, 25]) func claimsCountForAPartOfThem(most: Int?) async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 4, quorum: 4, rounds: .each(2))
      plan.round.maxSamples = most
      var driver = try JobEngineDriver(plan, folder, ["a", "b", "c", "d"])
      let assignment = try #require(driver.assignments["a"])
      let old = driver.trained(assignment)
      let claims = ["a": 10, "b": 20, "c": 30, "d": 100_000_000]
      for (name, samples) in claims.sorted(by: { $0.key < $1.key }) {
        let bytes = old.map { $0 + (name == "d" ? 1 : 0) }.data
        let offer = UpdateOffer(
          key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
          bytes: bytes.count, samples: samples, steps: 1, loss: name == "d" ? 9 : 1, seconds: 1)
        #expect(try driver.judge(offer, bytes, from: name) == nil)
      }
      // Ten times 20, the lower median.
      let counted = claims.mapValues { min($0, most ?? 200) }
      let total = counted.values.reduce(0, +)
      let share = Float(counted["d"]!) / Float(total)
      for (before, after) in zip(old, driver.trained(assignment)) {
        #expect(abs(after - before - share) < 1e-5)
      }
      let round = try #require(try driver.store.committedRounds().first?.round)
      #expect(round.samples == total && abs((round.loss ?? 0) - Double(1 + 8 * share)) < 1e-5)
      let updates = try driver.store.updates(of: round)
      #expect(updates.map(\.samples) == [10, 20, 30, 100_000_000], "what was claimed is known")
      #expect(updates.map(\.counted) == (most == nil ? [nil, nil, nil, 200] : [nil, nil, 25, 25]))
      let cuts = driver.notes.compactMap { note -> ([String], Int)? in
        if case .cut(assignment.key, let clients, let most) = note { (clients, most) } else { nil }
      }
      #expect(cuts.count == 1 && cuts[0] == (most == nil ? ["d"] : ["c", "d"], most ?? 200))
    }
  }

  // MARK: - Coded updates

  /// Submits an offer of coded bytes. Returns the verdict.
  private func submit(
    _ bytes: Data, _ codec: UpdateCodec, _ assignment: Assignment, _ driver: inout JobEngineDriver
  ) throws -> Rejection? {
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
      bytes: bytes.count, samples: 10, steps: 1, loss: 1, seconds: 1, codec: codec)
    return try driver.judge(offer, bytes, from: "a")
  }

  @Test func aCodedUpdateBecomesWhatItsClientCanDecodeItself() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 1, rounds: .each(2))
      plan.traffic.codec = .int4
      var driver = try JobEngineDriver(plan, folder, ["a"], codecs: [.int8, .int4])
      let assignment = try #require(driver.assignments["a"])
      #expect(assignment.codec == .int4)
      let base = driver.trained(assignment)
      let coding = UpdateCoding(.int4, plan.stage(1, keeping: [0]), share: Double(plan.traffic.kept))
      let bytes = coding.encode(base.map { $0 * 1.1 + 0.01 }, base: base, seed: 3)
      #expect(try submit(bytes, .int4, assignment, &driver) == nil)
      #expect(driver.trained(assignment) == (try coding.decode(bytes, base: base)))
    }
  }

  @Test func whatCannotBeDecodedIsRejected() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 1, rounds: .each(2), attempts: 9)
      plan.traffic.codec = .int8
      var driver = try JobEngineDriver(plan, folder, ["a"], codecs: UpdateCoding.all)
      func next() throws -> (Assignment, [Float]) {
        if driver.engine.round.isWaiting { try driver.wait(.seconds(10)) }
        let assignment = try #require(driver.assignments["a"])
        return (assignment, driver.trained(assignment))
      }
      let coding = UpdateCoding(.int8, plan.stage(1, keeping: [0]), share: Double(plan.traffic.kept))
      var (assignment, base) = try next()
      let good = coding.encode(base, base: base, seed: 1)
      #expect(try submit(good.dropLast(3) + Data([1, 2, 3]), .int8, assignment, &driver) == .undecodable)
      // Another codec than the plan's, with valid bytes.
      (assignment, base) = try next()
      let other = UpdateCoding(.bfloat16, plan.stage(1, keeping: [0]), share: Double(plan.traffic.kept))
        .encode(base, base: base, seed: 1)
      #expect(try submit(other, .bfloat16, assignment, &driver) == .undecodable)
      (assignment, base) = try next()
      base[5] = .infinity
      let broken = coding.encode(base, base: base.map { $0.isFinite ? $0 : 0 }, seed: 1)
      #expect(try submit(broken, .int8, assignment, &driver) == .notFinite)
    }
  }

  @Test func whoCannotCodeSendsPlainUpdates() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 1, rounds: .each(2))
      plan.traffic.codec = .int8
      for codecs in [nil, [], [UpdateCodec.float32]] as [[UpdateCodec]?] {
        let own = folder.appendingPathComponent("\(codecs?.count ?? -1)")
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
        var driver = try JobEngineDriver(plan, own, ["a"], codecs: codecs)
        #expect(driver.assignments["a"]?.codec == nil)
        #expect(try driver.submit("a", distance: 0.1) == nil)
      }
    }
  }
}
