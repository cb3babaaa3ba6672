import Client
import Engine
import Federation
import Foundation
import Support
import Synchronization
import TestSupport
import Testing
import Wire

/// A client's connection under resource limits (ClientSession+ResourceLimits).
@Suite(.unhurried) struct LimitedSessionTests {
  /// Assigns a round and answers its fetches; the training follows.
  private func assign(_ session: ScriptedSession, _ snapshot: Snapshot, fetches: Bool = true, round: Int = 1)
    async throws -> Assignment
  {
    let assignment = Assignment(snapshot, round: round)
    try await session.send(.assignment(assignment))
    for _ in fetches ? snapshot.manifest : [] {
      guard case .fetch(let fetch) = try await session.hear(), let weights = snapshot.data(fetch.digest)
      else {
        throw Unexpected("no fetch")
      }
      try await session.send(
        .layer(LayerData(digest: fetch.digest, offset: 0, total: weights.count), weights))
    }
    return assignment
  }

  private func decline(_ session: ScriptedSession) async throws -> Decline {
    let message = try await session.hear()
    guard case .decline(let decline) = message else { throw Unexpected("\(message.name)") }
    return decline
  }

  private func offer(_ message: Message) throws -> UpdateOffer {
    guard case .offer(let offer) = message else { throw Unexpected("\(message.name)") }
    return offer
  }

  private func waitForStep(_ server: ScriptedServer, of key: RoundKey, after last: Int = 0) async throws
    -> Int
  {
    try await server.events.first { event in
      if case .training(key, let step, _, _) = event, step > last { step } else { nil }
    }
  }

  // MARK: - Hours

  @Test func outsideItsHoursARoundIsDeclined() async throws {
    let (plan, clock) = (Plan.tiny(), FakeClock(hour: 12))
    var limits = clock.limits
    limits.hours = try Hours("22:00-06:00")
    try await withClient(plan, limits: limits) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      let assignment = Assignment(snapshot)
      try await session.send(.assignment(assignment))
      #expect(
        try await decline(session)
          == Decline(key: assignment.key, reason: "outside its hours, 22:00-06:00", seconds: 36_000))
      clock.set(hour: 23)
      try await session.send(.assignment(Assignment(snapshot, round: 2)))
      let made = try offer(try await session.serve(snapshot).1)
      #expect(made.key.round == 2)
      try await server.finish(session)
      let reasons = server.events.all.compactMap {
        if case .declined(let key, let reason) = $0 { "\(key): \(reason)" } else { nil }
      }
      #expect(reasons == ["stage 1 round 1: outside its hours, 22:00-06:00"])
    }
  }

  @Test func aTrainingIsGivenUpWhenTheHoursEnd() async throws {
    let (plan, clock) = (Plan.endless, FakeClock(hour: 23))
    var limits = clock.limits
    limits.hours = try Hours("22:00-06:00")
    try await withClient(plan, images: Plan.imagesWithoutEnd, limits: limits) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      let assignment = try await assign(session, snapshot)
      _ = try await waitForStep(server, of: assignment.key)
      clock.set(hour: 30)
      #expect(try await decline(session).key == assignment.key)
      // One permit: the next training begins only when this one has ended.
      clock.set(hour: 46)
      let next = try await assign(session, snapshot, fetches: false, round: 2)
      _ = try await waitForStep(server, of: next.key)
      try await server.finish(session)
    }
  }

  @Test func aTransferIsGivenUpWhenTheHoursEndAndGoesOnFromThere() async throws {
    let (plan, clock) = (Plan.tiny(), FakeClock(hour: 23))
    var limits = clock.limits
    limits.hours = try Hours("22:00-06:00")
    try await withClient(plan, limits: limits) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      let assignment = Assignment(snapshot)
      try await session.send(.assignment(assignment))
      guard case .fetch(let first) = try await session.hear() else { throw Unexpected("no fetch") }
      let weights = try #require(snapshot.data(first.digest))
      func piece(_ range: Range<Int>) -> Message {
        .layer(
          LayerData(digest: first.digest, offset: range.lowerBound, total: weights.count),
          Data(weights[range]))
      }
      try await session.send(piece(0..<100))
      clock.set(hour: 30)
      #expect(try await decline(session).key == assignment.key)
      // A message that the server sent before is not an error.
      try await session.send(piece(100..<200))
      clock.set(hour: 46)
      try await session.send(.assignment(Assignment(snapshot, round: 2)))
      guard case .fetch(let again) = try await session.hear() else { throw Unexpected("no fetch") }
      #expect(again.digest == first.digest && (again.offset == 100 || again.offset == 0), "\(again.offset)")
      try await session.send(piece(again.offset..<weights.count))
      #expect(try offer(try await session.serve(snapshot).1).key.round == 2)
      try await server.finish(session)
    }
  }

  @Test func aFinishedUpdateWaitsForTheHoursAndForItsRound() async throws {
    let (plan, clock) = (Plan.tiny(), FakeClock(hour: 23))
    var limits = clock.limits
    limits.hours = try Hours("22:00-06:00")
    try await withClient(plan, limits: limits) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      let assignment = Assignment(snapshot)
      try await session.send(.assignment(assignment))
      let made = try offer(try await session.serve(snapshot).1)
      clock.set(hour: 30)
      #expect(try await decline(session).key == assignment.key)
      clock.set(hour: 46)
      try await session.send(.assignment(assignment))
      #expect(try offer(try await session.hear()) == made)
      #expect(Digest(of: try await session.collect(made)) == made.digest)
      try await server.finish(session)
      let trainings = server.events.all.filter { if case .trained = $0 { true } else { false } }
      #expect(trainings.count == 1, "nothing is trained twice")
      #expect(server.events.all.contains { if case .offersAgain = $0 { true } else { false } })
    }
  }

  // MARK: - Bytes

  @Test func aRoundThatWouldPassTheDaysBytesIsDeclined() async throws {
    let (plan, clock, cap) = (Plan.tiny(), FakeClock(hour: 12), 60_000)
    var limits = clock.limits
    limits.bytesADay = ByteCount(bytes: cap)
    try await withClient(plan, limits: limits) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      let update = Frame.bytes(ofPieces: 1000, of: snapshot.stage.count * 4)
      var attempt = 0
      var declined: Decline?
      while declined == nil {
        attempt += 1
        try await session.send(.assignment(Assignment(snapshot, attempt: attempt)))
        let message = try await session.serve(snapshot).1
        if case .decline(let decline) = message {
          declined = decline
        } else {
          _ = try await session.collect(try offer(message))
        }
        try #require(attempt < 1000, "no round was ever declined")
      }
      let traffic = session.connection.traffic
      let spent = traffic.received + traffic.sent
      #expect(attempt > 2 && spent <= cap, "\(attempt) rounds, \(spent) bytes")
      #expect(spent + update > cap - 2000, "one more would have been possible: \(spent) bytes")
      #expect(declined?.reason.hasSuffix("of 60KB a day") == true, "\(declined?.reason ?? "")")
      // A new connection does not reset the count.
      await session.connection.close()
      let second = try await server.welcome()
      try await second.send(.assignment(Assignment(snapshot)))
      _ = try await decline(second)
      // A new day does.
      clock.set(hour: 24)
      try await second.send(.assignment(Assignment(snapshot, attempt: 2)))
      _ = try offer(try await second.serve(snapshot).1)
      try await server.finish(second)
    }
  }

  /// A cap that the coded update meets and plain numbers exceed.
  @Test(arguments: [UpdateCodec.int8, .topK, .float32])
  func anUpdateCountsAsItIsCoded(codec: UpdateCodec) async throws {
    var plan = Plan.tiny()
    (plan.traffic.codec, plan.traffic.kept) = (codec, 0.1)
    let snapshot = plan.snapshot()
    let plain = snapshot.stage.count * 4
    let most = UpdateCoding(codec, plan.stage(1, keeping: [0]), share: Double(plan.traffic.kept)).mostBytes
    let layers = snapshot.manifest.reduce(0) { $0 + Frame.bytes(ofPieces: 1000, of: $1.bytes) }
    var limits = FakeClock(hour: 12).limits
    // The bytes besides layers and update: hello, welcome and assignment.
    let said = 8000
    let cap = said + layers + Frame.bytes(ofPieces: 1000, of: most)
    limits.bytesADay = ByteCount(bytes: cap)
    try await withClient(plan, limits: limits) { server in
      let session = try await server.welcome()
      var assignment = Assignment(snapshot)
      assignment.codec = codec
      try await session.send(.assignment(assignment))
      let made = try offer(try await session.serve(snapshot).1)
      let update = try await session.collect(made)
      #expect(made.bytes == update.count && made.bytes <= most)
      if codec != .float32 { #expect(said + plain > cap - layers, "it shows nothing: plain fits too") }
      let traffic = session.connection.traffic
      #expect(traffic.received + traffic.sent <= cap)
      try await server.finish(session)
    }
  }

  /// The compression ratio of one update is expected of the next. An update larger than expected, which exceeds the
  /// rest of the cap, stays pending until another day.
  @Test func aCompressedUpdateCountsAsItWas() async throws {
    var plan = Plan.tiny()
    plan.traffic.codec = .float32
    let (snapshot, clock) = (plan.snapshot(), FakeClock(hour: 12))
    var limits = clock.limits
    let cap = 40_000
    limits.bytesADay = ByteCount(bytes: cap)
    try await withClient(plan, limits: limits) { server in
      let session = try await server.welcome()
      var (attempt, sizes) = (0, [Int]())
      while true {
        attempt += 1
        try #require(attempt < 1000, "no round was ever declined")
        var assignment = Assignment(snapshot, attempt: attempt)
        assignment.codec = .float32
        let before = session.connection.traffic.received + session.connection.traffic.sent
        try await session.send(.assignment(assignment))
        let message = try await session.serve(snapshot).1
        guard case .decline = message else {
          sizes.append(try offer(message).bytes)
          _ = try await session.collect(try offer(message))
          continue
        }
        // The rest of the cap is too small for one more update as compressed; by the uncompressed size the client would
        // have declined much earlier.
        let last = try #require(sizes.last)
        #expect(before + Frame.bytes(ofPieces: 1000, of: last) > cap - 2500, "\(before) bytes, \(sizes)")
        break
      }
      let traffic = session.connection.traffic
      // The declined assignment may exceed the cap, as documented in docs/resource-limits.md.
      #expect(traffic.received + traffic.sent <= cap + 1000, "\(sizes)")
      try await server.finish(session)
    }
  }

  // MARK: - Battery

  @Test func onBatteryARoundIsDeclined() async throws {
    try await withTemporaryFolder { folder in
      let (plan, power) = (Plan.tiny(), FakePower(folder: folder))
      try power.laptop(isOnBattery: true)
      var limits = FakeClock(hour: 12).limits
      limits.power = PowerSupply(folder)
      try await withClient(plan, limits: limits) { server in
        let session = try await server.welcome()
        let snapshot = plan.snapshot()
        try await session.send(.assignment(Assignment(snapshot)))
        #expect(try await decline(session).reason == "on battery")
        try power.laptop(isOnBattery: false)
        try await session.send(.assignment(Assignment(snapshot, round: 2)))
        _ = try offer(try await session.serve(snapshot).1)
        try await server.finish(session)
      }
    }
  }

  @Test func aTrainingStandsStillOnBatteryAndSaysThatItLives() async throws {
    try await withTemporaryFolder { folder in
      let (plan, power) = (Plan.endless, FakePower(folder: folder))
      try power.laptop(isOnBattery: false)
      var limits = FakeClock(hour: 12).limits
      limits.power = PowerSupply(folder)
      try await withClient(plan, images: Plan.imagesWithoutEnd, limits: limits) { server in
        let session = try await server.welcome(heartbeatSeconds: 1)
        let assignment = try await assign(session, plan.snapshot())
        _ = try await waitForStep(server, of: assignment.key)
        try power.laptop(isOnBattery: true)
        try await server.events.first { event in
          if case .paused(assignment.key, "on battery") = event { () } else { nil }
        }
        // Earlier events may still have been on their way when it paused.
        var steps = [-1, 0]
        while steps[0] != steps[1] || steps[1] == 0 {
          guard case .heartbeat(let heartbeat) = try await session.hear(heartbeats: true) else {
            throw Unexpected("no heartbeat")
          }
          steps = [steps[1], heartbeat.step ?? -1]
        }
        let last = server.events.all.compactMap {
          if case .training(_, let step, _, _) = $0 { step } else { nil }
        }.last
        #expect(steps[1] > 0 && steps[1] == last)
        try power.laptop(isOnBattery: false)
        try await server.events.first { if case .resumed(assignment.key) = $0 { () } else { nil } }
        _ = try await waitForStep(server, of: assignment.key, after: steps[1])
        try await server.finish(session)
      }
    }
  }

  @Test func aRoundThatEndsEndsATrainingThatStandsStill() async throws {
    try await withTemporaryFolder { folder in
      let (plan, power) = (Plan.endless, FakePower(folder: folder))
      try power.laptop(isOnBattery: false)
      var limits = FakeClock(hour: 12).limits
      limits.power = PowerSupply(folder)
      try await withClient(plan, images: Plan.imagesWithoutEnd, limits: limits) { server in
        let session = try await server.welcome()
        let snapshot = plan.snapshot()
        let assignment = try await assign(session, snapshot)
        _ = try await waitForStep(server, of: assignment.key)
        try power.laptop(isOnBattery: true)
        try await server.events.first { if case .paused = $0 { () } else { nil } }
        try await session.send(.release(Release(key: assignment.key)))
        try await server.events.first { if case .dropped(assignment.key) = $0 { () } else { nil } }
        try power.laptop(isOnBattery: false)
        // One permit: this training begins only when the other has ended.
        let next = try await assign(session, snapshot, fetches: false, round: 2)
        _ = try await waitForStep(server, of: next.key)
        try await server.finish(session)
      }
    }
  }

  // MARK: - Processor time

  /// Returns limits under which the process appears to use `step` of processor time between two readings.
  private func limits(using step: Duration, cpu: String) -> ResourceLimits {
    let used = Mutex(Duration.zero)
    var limits = ResourceLimits()
    limits.cpu = CPUQuota(cpu)
    limits.used = {
      used.withLock {
        $0 += step
        return $0
      }
    }
    return limits
  }

  @Test func aTrainingPausesBetweenItsSteps() async throws {
    let plan = Plan.tiny(epochs: 4)
    // Each of the four steps costs 10 ms of a tenth of a core.
    try await withClient(plan, limits: limits(using: .milliseconds(10), cpu: "10%")) { server in
      let session = try await server.welcome()
      try await session.send(.assignment(Assignment(plan.snapshot())))
      let made = try offer(try await session.serve(plan.snapshot()).1)
      #expect(made.steps == 4 && made.seconds >= 0.4, "\(made.seconds) s")
      try await server.finish(session)
    }
  }

  @Test func aPauseEndsWithItsRound() async throws {
    let plan = Plan.tiny(epochs: 2)
    // After its first step it would pause for a hundred hours.
    try await withClient(plan, limits: limits(using: .seconds(3600), cpu: "1%")) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      for round in 1...2 {
        let assignment = try await assign(session, snapshot, fetches: round == 1, round: round)
        _ = try await waitForStep(server, of: assignment.key)
        try await session.send(.release(Release(key: assignment.key)))
        try await server.events.first { if case .dropped(assignment.key) = $0 { () } else { nil } }
      }
      try await server.finish(session)
      #expect(!server.events.all.contains { if case .trained = $0 { true } else { false } })
    }
  }
}
