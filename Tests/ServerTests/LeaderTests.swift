import Engine
import Federation
import Foundation
import Server
import Synchronization
import Testing
import Wire

/// The leader's rules of admission, without sockets or clocks.
@Suite struct LeaderTests {
  /// A round of names; its members' updates move every weight by `distance` times its own size.
  private struct Led {
    let leader: Leader
    let store: Store
    var assignments: [String: Assignment] = [:]
    private(set) var notes: [ServerEvent] = []
    private(set) var releases: [String] = []
    var now = Duration.zero

    init(_ plan: Plan, _ folder: URL, _ names: [String], codecs: [UpdateCodec]? = nil) throws {
      store = try Store(folder.appendingPathComponent("strata.sqlite").path)
      leader = try Leader(plan, store: store, at: .zero)
      try follow(leader.advance(at: .zero))
      for name in names {
        try follow(leader.join(Hello(name: name, software: "test", codecs: codecs), at: .zero))
      }
    }

    /// Takes note, and does at once what a server does beside its leader. Returns the verdict, if there is one.
    @discardableResult
    mutating func follow(_ effects: [Leader.Effect]) throws -> Acknowledgement? {
      var verdict: Acknowledgement?
      for effect in effects {
        switch effect {
        case .send(.assignment(let assignment), let name): assignments[name] = assignment
        case .send(.acknowledgement(let acknowledgement), _): verdict = acknowledgement
        case .aggregate(let aggregator):
          try follow(leader.finishAggregation(try aggregator.run(threads: 2), at: now))
        case .note(let event): notes.append(event)
        case .send(.release, let name): releases.append(name)
        case .send, .calibrate, .end: break
        }
      }
      return verdict
    }

    /// Lets time pass.
    mutating func wait(_ time: Duration) throws {
      now += time
      try follow(leader.advance(at: now))
    }

    /// The floats of an assignment's parts that train, as the model has them now.
    func trained(_ assignment: Assignment) -> [Float] {
      let trained = Set(assignment.trained)
      return leader.snapshot.manifest.filter { trained.contains($0.name) }.flatMap {
        leader.snapshot.data($0.digest)?.floats ?? []
      }
    }

    /// Gives in an update for an assignment that is not the client's latest.
    mutating func submit(_ update: [Float], _ assignment: Assignment, from name: String) throws -> Refusal? {
      let bytes = update.data
      let offer = UpdateOffer(
        key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
        bytes: bytes.count, samples: 10, steps: 1, loss: 1, seconds: 1)
      return try judge(offer, bytes, from: name)
    }

    /// The verdict on an offer, whose bytes come where they are wanted.
    mutating func judge(_ offer: UpdateOffer, _ bytes: Data, from name: String) throws -> Refusal? {
      let isHere = leader.wants(offer, from: name)
      var fault: Refusal?
      if isHere {
        _ = store.updates.begin(offer, from: name)
        try store.updates.open(offer, from: name).write(bytes, at: 0)
        fault = try #require(leader.check(offer, from: name)).refusal(in: store.updates, from: name)
      }
      return try #require(
        try follow(leader.judge(offer, isHere: isHere, fault: fault, from: name, at: now))
      ).refusal
    }

    mutating func submit(_ name: String, distance: Float) throws -> Refusal? {
      let assignment = try #require(assignments[name])
      let trained = Set(assignment.trained)
      let base = assignment.parts.filter { trained.contains($0.name) }.flatMap {
        leader.weights($0.digest)?.floats ?? []
      }
      let update = base.map { $0 * (1 + distance) }.data
      let offer = UpdateOffer(
        key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: update),
        bytes: update.count, samples: 10, steps: 1, loss: 1, seconds: 1)
      #expect(leader.wants(offer, from: name))
      assignments[name] = nil
      return try judge(offer, update, from: name)
    }
  }

  @Test func anUpdateBeyondTheNormLimitIsRefused() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2)
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b", "c"])
      #expect(try led.submit("a", distance: 0.499) == nil)
      #expect(try led.submit("b", distance: 0.501) == .overNorm)
      #expect(try led.submit("c", distance: -0.499) == nil)
      #expect(led.leader.round.key == RoundKey(stage: 2, round: 1), "two of three are a quorum")
    }
  }

  @Test func withoutALimitAnyDistanceGoes() async throws {
    try await withTemporaryFolder { folder in
      var led = try Led(Plan.tiny(cohort: 1), folder, ["a"])
      #expect(try led.submit("a", distance: 1000) == nil)
    }
  }

  @Test func whoIsRefusedThreeTimesInARowRestsForFiveRounds() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2, rounds: .each(10))
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b", "c"])
      var asked: [Bool] = []
      var told: [Int?] = []
      for round in 1...10 {
        asked.append(led.assignments["c"] != nil)
        told.append(led.leader.status(since: Date(), at: led.now, Date()).notAsked?.first?.rounds)
        // The one that lies comes first: the round goes on without it, as soon as the others are there.
        if led.assignments["c"] != nil { #expect(try led.submit("c", distance: 2) == .overNorm) }
        for name in ["a", "b"] { #expect(try led.submit(name, distance: 0.001) == nil, "round \(round)") }
      }
      #expect(asked == [true, true, true, false, false, false, false, true, true, true])
      #expect(told == [nil, nil, nil, 4, 3, 2, 1, nil, nil, nil])
      #expect(led.notes.contains { if case .rests("c", 5) = $0 { true } else { false } })
    }
  }

  @Test func anAdmittedUpdateBetweenTwoRefusalsIsForgiven() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 1, rounds: .each(8))
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b"])
      for distance: Float in [2, 2, 0.1, 2, 2, 0.1] {
        _ = try led.submit("b", distance: distance)
        #expect(try led.submit("a", distance: 0.1) == nil)
        #expect(led.assignments["b"] != nil)
      }
    }
  }

  /// A box has its hours every day: as often as it declines, the job goes on when it is there again.
  @Test func boxesThatDeclineAreWaitedFor() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      plan.round.patience = .hours(168)
      var led = try Led(plan, folder, ["a", "b"])
      for day in 0..<5 {
        let key = try #require(led.assignments["b"]).key
        #expect(key.attempt == day + 1 && led.assignments["a"]?.key == key)
        led.assignments = [:]
        let decline = Decline(key: key, reason: "outside its hours", seconds: 36_000)
        try led.follow(led.leader.take(decline, from: "b", at: led.now))
        #expect(led.assignments.isEmpty && led.releases.count == day + 1, "a need not go on")
        let status = led.leader.status(since: Date(), at: led.now, Date())
        #expect(status.doing == "waits for clients: 2 of 2 are here, 1 of which does not train now")
        #expect(
          status.notAsked?.map(\.client) == ["b"] && status.notAsked?.first?.reason == "outside its hours")
        try led.wait(.seconds(35_999))
        #expect(led.assignments.isEmpty)
        try led.wait(.seconds(1))
      }
      #expect(try led.submit("a", distance: 0.1) == nil)
      #expect(try led.submit("b", distance: 0.1) == nil)
      #expect(led.leader.round.key == RoundKey(stage: 2, round: 1))
    }
  }

  /// Who came back and then failed has failed: what it declined before is over.
  @Test func aRefusalAfterADeclineIsAFailure() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, attempts: 1)
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b"])
      let key = try #require(led.assignments["b"]).key
      try led.follow(
        led.leader.take(Decline(key: key, reason: "on battery", seconds: 10), from: "b", at: led.now))
      try led.wait(.seconds(10))
      #expect(led.assignments["b"]?.key == key.nextAttempt && !led.leader.hasEnded)
      #expect(try led.submit("b", distance: 2) == .overNorm)
      #expect(led.leader.hasEnded, "one attempt is all that the plan allows")
    }
  }

  /// A decline that is about one round alone says nothing about the next attempt at it.
  @Test func whoDeclinesARoundIsAskedForTheNextAttempt() async throws {
    try await withTemporaryFolder { folder in
      var led = try Led(Plan.tiny(cohort: 2, quorum: 2, attempts: 2), folder, ["a", "b"])
      for attempt in 1...2 {
        let key = try #require(led.assignments["b"]).key
        #expect(key.attempt == attempt)
        try led.follow(led.leader.take(Decline(key: key, reason: "no"), from: "b", at: led.now))
      }
      #expect(led.leader.hasEnded, "two attempts are all that the plan allows")
    }
  }

  /// What a round takes is what it takes its clients, however long it waited for them, and whatever becomes of the date.
  @Test(arguments: [(3600, 12), (-3600, 12), (3600, -86_400), (0, 2_592_000)] as [(Double, Double)])
  func waitingIsNotPartOfARoundsLength(waited: Double, trained: Double) async throws {
    try await withTemporaryFolder { folder in
      let date = Mutex(Date(timeIntervalSince1970: 1_790_000_000))
      let store = try Store(folder.appendingPathComponent("strata.sqlite").path)
      let leader = try Leader(Plan.tiny(cohort: 1), store: store, at: .zero) { date.withLock { $0 } }
      _ = leader.advance(at: .zero)
      date.withLock { $0 += waited }
      let effects = leader.join(Hello(name: "a", software: "test"), at: .seconds(3600))
      date.withLock { $0 += trained }
      try finish(effects, leader, store, at: .seconds(3612))
      let round = try #require(try store.committedRounds().first?.round)
      #expect(round.seconds == 12 && round.waited == 3600)
    }
  }

  /// No clock lasts from one start of a server to the next: a round that goes on takes what it takes from then on.
  @Test func aRoundThatGoesOnCountsFromTheStart() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let first = try Leader(Plan.tiny(cohort: 1), store: try Store(path), at: .zero) {
        Date(timeIntervalSince1970: 1_790_000_000)
      }
      _ = first.advance(at: .zero)
      _ = first.join(Hello(name: "a", software: "test"), at: .seconds(100))
      let store = try Store(path)
      let second = try Leader(Plan.tiny(cohort: 1), store: store, at: .seconds(5)) {
        Date(timeIntervalSince1970: 1_700_000_000)
      }
      _ = second.advance(at: .seconds(5))
      let effects = second.join(Hello(name: "a", software: "test"), at: .seconds(8))
      try finish(effects, second, store, at: .seconds(20))
      let round = try #require(try store.committedRounds().first?.round)
      #expect(round.seconds == 12 && round.waited == 100)
    }
  }

  /// Brings the update that an assignment among the effects asks for, and ends the round.
  private func finish(_ effects: [Leader.Effect], _ leader: Leader, _ store: Store, at now: Duration) throws {
    let assignment = try #require(
      effects.lazy.compactMap { if case .send(.assignment(let one), _) = $0 { one } else { nil } }.first)
    let bytes = Data(count: leader.snapshot.trained(keeping: [0]).reduce(0) { $0 + $1.bytes })
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
      bytes: bytes.count, samples: 10, steps: 1, loss: 1, seconds: 1)
    try store.updates.open(offer, from: "a").write(bytes, at: 0)
    for effect in leader.judge(offer, isHere: true, fault: nil, from: "a", at: now) {
      guard case .aggregate(let aggregator) = effect else { continue }
      _ = leader.finishAggregation(try aggregator.run(threads: 1), at: now)
    }
  }

  /// A full disk is the operator's to mend: clients come back, and hear nothing of tables and paths.
  @Test func clientsComeBackToAServerWithABrokenDatabase() async throws {
    try await withTemporaryFolder { folder in
      let led = try Led(Plan.tiny(), folder, ["a"])
      let error = StoreError("strata.sqlite: database or disk is full")
      let goodbyes = led.leader.stop(because: error).compactMap { effect in
        if case .end(.failure(let why), let goodbye) = effect, why is StoreError { goodbye } else { nil }
      }
      #expect(goodbyes == [Goodbye(.stopping, "the server cannot use its database")])
    }
  }

  /// Rest is a punishment for clients, not for the job.
  @Test func theRestingAreAskedWhereTheOthersAreNoQuorum() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 2, quorum: 2, rounds: .each(8), attempts: 10)
      plan.round.normLimit = 0.5
      var led = try Led(plan, folder, ["a", "b"])
      for _ in 0..<3 {
        // A quorum is out of reach, and the round is tried again.
        #expect(try led.submit("b", distance: 2) == .overNorm)
      }
      #expect(led.notes.contains { if case .rests("b", _) = $0 { true } else { false } })
      #expect(led.assignments["b"] != nil, "a alone is no quorum")
    }
  }

  /// What a slow box has learnt is added to what the others have made of the model meanwhile.
  @Test(arguments: [Plan.LateRule.fold, .refuse]) func aLateUpdateIsFoldedInOrRefused(rule: Plan.LateRule)
    async throws
  {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2, rounds: .each(3))
      plan.round.late = rule
      var led = try Led(plan, folder, ["a", "b", "c"])
      let slow = try #require(led.assignments["c"])
      let old = led.trained(slow)
      for name in ["a", "b"] { #expect(try led.submit(name, distance: 0.25) == nil) }
      try led.wait(plan.round.deadline.duration)
      let new = led.trained(slow)
      #expect(led.leader.round.key.round == 2 && new != old)
      #expect(led.releases == (rule == .fold ? [] : ["c"]))
      let verdict = try led.submit(old.map { $0 + 0.5 }, slow, from: "c")
      guard rule == .fold else { return #expect(verdict == .wrongRound) }
      #expect(verdict == nil)
      // The others change nothing: what is left is a third of the late one's difference.
      for name in ["a", "b"] { #expect(try led.submit(name, distance: 0) == nil) }
      let result = led.trained(slow)
      #expect(led.leader.round.key.round == 3)
      for (before, after) in zip(new, result) { #expect(abs(after - before - 0.5 / 3) < 1e-5) }
    }
  }

  @Test func aLateUpdateIsHeldToTheSameRules() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2, rounds: .each(3))
      (plan.round.late, plan.round.normLimit) = (.fold, 0.5)
      var led = try Led(plan, folder, ["a", "b", "c"])
      let slow = try #require(led.assignments["c"])
      let old = led.trained(slow)
      for name in ["a", "b"] { #expect(try led.submit(name, distance: 0.4) == nil) }
      try led.wait(plan.round.deadline.duration)
      // Nobody else's, and not from farther than the plan allows.
      #expect(try led.submit(old, slow, from: "a") == .wrongRound)
      #expect(try led.submit(old.map { $0 * 2 }, slow, from: "c") == .overNorm)
      #expect(try led.submit(old, slow, from: "c") == .wrongRound, "it was refused, and that is that")
    }
  }

  /// Between two stages the layers that train are others.
  @Test func nothingIsFoldedIntoAnotherStage() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 3, quorum: 2, rounds: .each(1))
      plan.round.late = .fold
      var led = try Led(plan, folder, ["a", "b", "c"])
      let slow = try #require(led.assignments["c"])
      for name in ["a", "b"] { #expect(try led.submit(name, distance: 0.25) == nil) }
      try led.wait(plan.round.deadline.duration)
      #expect(led.leader.round.key.stage == 2 && led.releases == ["c"])
      #expect(try led.submit(led.trained(slow), slow, from: "c") == .wrongRound)
    }
  }

  // MARK: - Coded updates

  /// An offer of coded bytes and its verdict.
  private func submit(
    _ bytes: Data, _ codec: UpdateCodec, _ assignment: Assignment, _ led: inout Led
  ) throws -> Refusal? {
    let offer = UpdateOffer(
      key: assignment.key, base: Snapshot.base(of: assignment.parts), digest: Digest(of: bytes),
      bytes: bytes.count, samples: 10, steps: 1, loss: 1, seconds: 1, codec: codec)
    return try led.judge(offer, bytes, from: "a")
  }

  @Test func aCodedUpdateBecomesWhatItsClientCanDecodeItself() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 1, rounds: .each(2))
      plan.traffic.codec = .int4
      var led = try Led(plan, folder, ["a"], codecs: [.int8, .int4])
      let assignment = try #require(led.assignments["a"])
      #expect(assignment.codec == .int4)
      let base = led.trained(assignment)
      let coding = plan.coding(.int4, 1, keeping: [0])
      let bytes = coding.encode(base.map { $0 * 1.1 + 0.01 }, base: base, seed: 3)
      #expect(try submit(bytes, .int4, assignment, &led) == nil)
      #expect(led.trained(assignment) == (try coding.decode(bytes, base: base)))
    }
  }

  @Test func whatCannotBeDecodedIsRefused() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 1, rounds: .each(2), attempts: 9)
      plan.traffic.codec = .int8
      var led = try Led(plan, folder, ["a"], codecs: UpdateCoding.all)
      func next() throws -> (Assignment, [Float]) {
        let assignment = try #require(led.assignments["a"])
        return (assignment, led.trained(assignment))
      }
      let coding = plan.coding(.int8, 1, keeping: [0])
      var (assignment, base) = try next()
      let good = coding.encode(base, base: base, seed: 1)
      #expect(try submit(good.dropLast(3) + Data([1, 2, 3]), .int8, assignment, &led) == .undecodable)
      // Another codec than the plan's, though its bytes are right.
      (assignment, base) = try next()
      let other = plan.coding(.bfloat16, 1, keeping: [0]).encode(base, base: base, seed: 1)
      #expect(try submit(other, .bfloat16, assignment, &led) == .undecodable)
      (assignment, base) = try next()
      base[5] = .infinity
      let broken = coding.encode(base, base: base.map { $0.isFinite ? $0 : 0 }, seed: 1)
      #expect(try submit(broken, .int8, assignment, &led) == .notFinite)
    }
  }

  @Test func whoCannotCodeSendsPlainUpdates() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 1, rounds: .each(2))
      plan.traffic.codec = .int8
      for codecs in [nil, [], [UpdateCodec.float32]] as [[UpdateCodec]?] {
        let own = folder.appendingPathComponent("\(codecs?.count ?? -1)")
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
        var led = try Led(plan, own, ["a"], codecs: codecs)
        #expect(led.assignments["a"]?.codec == nil)
        #expect(try led.submit("a", distance: 0.1) == nil)
      }
    }
  }
}
