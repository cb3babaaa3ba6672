import Engine
import Federation
import Foundation
import GRDB
import Server
import TestSupport
import Testing
import Wire

/// Invalid numbers at a real server: it rejects them by name, and the other clients continue.
@Suite(.unhurried) struct DivergenceTests {
  private typealias Member = (client: ScriptedClient, assignment: Assignment)

  /// Returns clients that have joined, with their first assignments.
  private func members(_ names: [String], _ server: RunningServer) async throws -> [Member] {
    var clients: [ScriptedClient] = []
    for name in names { clients.append(try await ScriptedClient.welcome(name, at: server.endpoint)) }
    var members: [Member] = []
    for client in clients { members.append((client, try await client.requireAssignment())) }
    return members
  }

  private func submit(
    _ member: Member, value: Float = 0.5, _ change: (inout UpdateOffer) -> Void = { _ in }
  ) async throws -> Rejection? {
    let update = member.client.update(member.assignment, value: value)
    var offer = member.client.offer(member.assignment, update)
    offer.monitors = CollapseMonitors(alignment: 0.4, uniformity: -3, deviation: 0.3, effectiveRank: 38)
    change(&offer)
    return try await member.client.submit(offer, update)
  }

  @Test func hostileNumbersAreRejectedByNameAndTheRoundCommits() async throws {
    try await withServer(Plan.tiny(cohort: 7, quorum: 2)) { server, path in
      let members = try await members(["a", "b", "c", "d", "e", "f", "g"], server)
      #expect(try await submit(members[0], value: 3e38) == .diverged)
      #expect(try await submit(members[1], value: -20_000) == .diverged)
      #expect(try await submit(members[2]) { $0.monitors?.alignment = .nan } == .notFinite)
      #expect(try await submit(members[3]) { $0.monitors?.effectiveRank = 3e38 } == .overLimit)
      #expect(try await submit(members[4]) { $0.loss = 1e30 } == .overLimit)
      #expect(try await submit(members[5]) == nil)
      #expect(try await submit(members[6]) == nil)
      let summary = try await server.events.first { event -> RoundSummary? in
        if case .committed(let summary) = event { summary } else { nil }
      }
      #expect(summary.clients == 2 && summary.loss == 1 && summary.monitors?.effectiveRank == 38)
      let named = server.events.all.reduce(into: [String: Rejection]()) { all, event in
        if case .rejected(_, let client, let rejection) = event { all[client] = rejection }
      }
      #expect(
        named == ["a": .diverged, "b": .diverged, "c": .notFinite, "d": .overLimit, "e": .overLimit])
      let rows = try await DatabaseQueue(path: path).read { try UpdateRecord.fetchAll($0) }
      #expect(rows.count == 7 && rows.first { $0.client == "e" }?.loss == nil)
      for (client, _) in members { await client.connection.close() }
    }
  }

  /// Each message ends only its connection, with the field's name; the round continues.
  @Test(arguments: [
    (Message.heartbeat(Heartbeat(step: -1, steps: 3)), "heartbeat.step is -1"),
    (.heartbeat(Heartbeat(step: 1, steps: .max)), "heartbeat.steps is not a whole number of 0 to "),
    (.heartbeat(Heartbeat(memory: .min)), "heartbeat.memory is -9223372036854775808"),
    (.decline(Decline(key: RoundKey(stage: 1, round: 1), reason: "", seconds: .min)), "decline.seconds is "),
  ])
  func aBadNumberOfAnotherMessageIsAnErrorOfTheProtocol(message: Message, reason: String) async throws {
    try await withServer(Plan.tiny(cohort: 2, quorum: 1)) { server, _ in
      let members = try await members(["a", "b"], server)
      try await members[0].client.connection.send(message)
      guard case .goodbye(let goodbye) = try await members[0].client.hear() else {
        throw Unexpected("no goodbye")
      }
      #expect(goodbye.reason == .protocolError && goodbye.detail.hasPrefix(reason), "\(goodbye)")
      #expect(try await submit(members[1]) == nil)
      _ = try await members[1].client.requireAssignment()
      for (client, _) in members { await client.connection.close() }
    }
  }

  /// All trainings diverge in every attempt: the job fails with that reason.
  @Test func aJobWhoseTrainingsDivergeIsGivenUpForThat() async throws {
    try await withServer(Plan.tiny(cohort: 2, quorum: 2, attempts: 2)) { server, path in
      var members = try await members(["a", "b"], server)
      for attempt in 1...2 {
        #expect(members.allSatisfy { $0.assignment.key.attempt == attempt })
        #expect(try await submit(members[0]) { $0.loss = .nan } == .notFinite)
        guard attempt < 2 else { break }
        for index in members.indices {
          members[index].assignment = try await members[index].client.requireAssignment()
        }
      }
      let error = await #expect(throws: ServerError.self) { try await server.result() }
      guard case .diverged(let key, let reason)? = error else { throw Unexpected("\(error as Any)") }
      #expect(key == RoundKey(stage: 1, round: 1, attempt: 2) && reason.contains("1 of 1 client sent"))
      #expect(error?.description.hasPrefix("stage 1 round 1 attempt 2 diverged: ") == true)
      let rows = try await DatabaseQueue(path: path).read { try RoundRecord.fetchAll($0) }
      #expect(rows.map { $0.reason?.hasPrefix("diverged: ") } == [true, true])
      for (client, _) in members { await client.connection.close() }
    }
  }

  /// The clients' updates are valid, and the server's calibration diverges.
  @Test func aCalibrationThatDivergesAbandonsItsRound() async throws {
    var plan = Plan.tiny(cohort: 1, attempts: 1)
    plan.method.calibration = Plan.Calibration(data: "shapes:16")
    // The inverse of this number overflows a float32.
    plan.method.temperature = Float(1e-38) / 100
    try await withServer(plan) { server, path in
      let members = try await members(["a"], server)
      #expect(try await submit(members[0]) == nil)
      let error = await #expect(throws: ServerError.self) { try await server.result() }
      guard case .diverged(_, let reason)? = error else { throw Unexpected("\(error as Any)") }
      #expect(reason.contains("the new model"))
      #expect(try Store(path).committedRounds().isEmpty)
      await members[0].client.connection.close()
    }
  }

  /// The aggregate of admitted updates is checked, too.
  @Test(arguments: [Float.nan, .infinity, 1e30]) func anAggregateThatIsNoModelAbandonsItsRound(weight: Float)
    async throws
  {
    try await withTemporaryFolder { folder in
      let store = try Store(folder.appendingPathComponent("strata.sqlite").path)
      let engine = try JobEngine(Plan.tiny(cohort: 1, attempts: 2), store: store, at: .zero)
      var effects = engine.advance(at: .zero) + engine.join(Hello(name: "a", software: "test"), at: .zero)
      let first = engine.snapshot
      for attempt in 1...2 {
        // The second attempt begins after a pause.
        effects += engine.advance(at: .seconds(60 * attempt))
        let assignments = effects.compactMap {
          if case .send(.assignment(let one), _) = $0 { one } else { nil }
        }
        let assignment = try #require(assignments.last)
        #expect(assignment.key.attempt == attempt && assignment.parts == first.manifest)
        let bytes = Data(count: first.trained(keeping: [0]).reduce(0) { $0 + $1.bytes })
        let offer = UpdateOffer(
          key: assignment.key, base: first.base, digest: Digest(of: bytes), bytes: bytes.count, samples: 10,
          steps: 1, loss: 1, seconds: 1)
        try store.updates.open(offer, from: "a").write(bytes, at: 0)
        let judged = engine.judge(offer, isHere: true, fault: nil, from: "a", at: .seconds(60 * attempt))
        #expect(judged.contains { if case .aggregate = $0 { true } else { false } })
        var poisoned = first.manifest.map { first.floats($0.digest) }
        poisoned[1][7] = weight
        effects = engine.finishAggregation(
          Snapshot(first.stage, parts: poisoned.map(\.data)),
          at: .seconds(60 * attempt))
        let reasons = effects.compactMap { if case .note(.abandoned(_, let why)) = $0 { why } else { nil } }
        #expect(reasons == ["diverged: the new model has numbers that are not finite, or too large"])
      }
      let endings = effects.compactMap { if case .end(.failure(let error), _) = $0 { error } else { nil } }
      guard let ending = endings.first, case ServerError.diverged = ending else {
        throw Unexpected("\(endings)")
      }
      #expect(engine.hasEnded && engine.snapshot.base == first.base)
      #expect(try store.committedRounds().isEmpty)
    }
  }
}
