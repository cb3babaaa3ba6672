import Client
import Engine
import Federation
import Foundation
import Support
import TestSupport
import Testing
import Wire

/// The behaviour of a client if the server is silent or sends invalid messages.
@Suite(.unhurried) struct HostileServerTests {
  @Test(.unhurried(slack: 10)) func aServerThatIsSilentIsLeft() async throws {
    try await withClient(Plan.tiny(), patience: .milliseconds(1)) { server in
      let session = try await server.welcome(heartbeatSeconds: 0.3)
      // The client sends heartbeats without an answer and closes the connection after three intervals (ten times that
      // here).
      await #expect(throws: WireError.closed) {
        while true {
          guard case .heartbeat = try await session.connection.receive() else { break }
        }
      }
      await session.connection.close()
      try await expectSilence(server, "9")
    }
  }

  @Test func aServerThatNeverSaysWelcomeIsLeft() async throws {
    try await withClient(Plan.tiny(), patience: .milliseconds(1), silence: .milliseconds(500)) { server in
      let connection = try await server.listener.accept(limit: WireLimits.frame)
      try await expectSilence(server, "0.5")
      await connection.close()
    }
  }

  private func expectSilence(_ server: ScriptedServer, _ seconds: String) async throws {
    let error = await #expect(throws: ClientError.self) { try await server.result().get() }
    guard case .connection("silent for \(seconds) s")? = error else {
      throw Unexpected("\(String(describing: error))")
    }
    let reasons = server.events.all.compactMap {
      if case .disconnected(let reason) = $0 { reason } else { nil }
    }
    #expect(reasons == ["silent for \(seconds) s"])
  }

  /// Numbers in an assignment that no sum can hold, and no clock.
  @Test(arguments: ["two parts", "a difference", "a full delta", "a place"])
  func numbersThatNobodyCanMeanEndTheConnectionAlone(what: String) async throws {
    let plan = Plan.tiny()
    var limits = ResourceLimits()
    limits.bytesADay = ByteCount(bytes: 1 << 60)
    try await withClient(plan, patience: .milliseconds(1), limits: limits) { server in
      let session = try await server.welcome()
      var assignment = Assignment(plan.snapshot())
      let (huge, digest) = (1 << 62, assignment.parts[0].digest)
      let other = Digest(of: Data([1]))
      switch what {
      case "two parts":
        for index in 0..<2 {
          let part = assignment.parts[index]
          assignment.parts[index] = PartVersion(name: part.name, digest: part.digest, bytes: huge)
        }
      case "a difference":
        let step = DeltaChain.Step(from: other, digest: other, bytes: huge, codec: .int8)
        assignment.deltaChains = [DeltaChain(to: digest, steps: [step, step])]
      case "a full delta":
        let fullDelta = DeltaChain.Step(from: nil, digest: other, bytes: huge, codec: .int8)
        assignment.deltaChains = [DeltaChain(to: digest, steps: [], fullDelta: fullDelta)]
      default: assignment.schedule.to = 1e30
      }
      try await session.send(.assignment(assignment))
      let error = await #expect(throws: ClientError.self) { try await server.result().get() }
      #expect(
        "\(try #require(error))".contains(
          what == "a place" ? "schedule.to" : "bytes is \(huge), and must be"))
      await session.connection.close()
    }
  }

  @Test func damagedLayersAreFetchedAgainAndThenTheServerIsLeft() async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      try await session.send(.assignment(Assignment(snapshot)))
      var fetches = 0
      while case .fetch(let fetch) = try await session.hear() {
        #expect(fetch.digest == snapshot.manifest[0].digest && fetch.offset == 0)
        fetches += 1
        let total = snapshot.manifest[0].bytes
        try await session.send(
          .layer(LayerData(digest: fetch.digest, offset: 0, total: total), Data(count: total)))
      }
      #expect(fetches == 4, "the first time, and three times more")
      await session.connection.close()
      try await expectServerError(server, "do not match")
    }
  }

  /// The names of assignments that do not fit the plan.
  private static let misfits = [
    "another name", "too few layers", "too many layers", "no layers", "shorter layers", "other layers train",
    "a stage beyond the last", "stage 0", "round 0", "a round beyond the last", "another stage's layers",
  ]

  @Test(arguments: misfits) func anAssignmentThatDoesNotFitThePlanIsTheServersFault(what: String) async throws
  {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      var assignment = Assignment(snapshot)
      var extra: [Digest: Data] = [:]
      switch what {
      case "another name":
        let last = assignment.parts[3]
        assignment.parts[3] = PartVersion(name: "predictor", digest: last.digest, bytes: last.bytes)
      case "too few layers": assignment.parts.removeLast()
      case "too many layers": assignment.parts.append(assignment.parts[0])
      case "no layers": assignment.parts = []
      case "shorter layers":
        let bytes = Data(count: assignment.parts[1].bytes - 4)
        extra[Digest(of: bytes)] = bytes
        assignment.parts[1] = PartVersion(name: "blocks.0", digest: Digest(of: bytes), bytes: bytes.count)
      case "other layers train": assignment.trained.removeFirst()
      case "a stage beyond the last": assignment.key = RoundKey(stage: 3, round: 1)
      case "stage 0": assignment.key = RoundKey(stage: 0, round: 1)
      case "round 0": assignment.key = RoundKey(stage: 1, round: 0)
      case "a round beyond the last": assignment.key = RoundKey(stage: 1, round: 3)
      default: assignment.key = RoundKey(stage: 2, round: 1)
      }
      try await session.send(.assignment(assignment))
      await serveAll(session, snapshot, extra)
      try await expectServerError(server, "the plan")
      await session.connection.close()
    }
  }

  /// Answers every fetch until the client closes the connection.
  private func serveAll(_ session: ScriptedSession, _ snapshot: Snapshot, _ extra: [Digest: Data]) async {
    while let message = try? await session.hear() {
      guard case .fetch(let fetch) = message, let weights = snapshot.data(fetch.digest) ?? extra[fetch.digest]
      else { continue }
      try? await session.send(
        .layer(LayerData(digest: fetch.digest, offset: 0, total: weights.count), weights))
    }
  }

  private func expectServerError(_ server: ScriptedServer, _ text: String) async throws {
    let error = await #expect(throws: ClientError.self) { try await server.result().get() }
    guard case .server(let reason)? = error else { throw Unexpected("\(String(describing: error))") }
    #expect(reason.contains(text), "\(reason)")
  }

  @Test(arguments: [
    "hello", "welcome again", "a layer that is too long", "a layer without a beginning",
    "a request beyond the end",
  ])
  func wordsOutOfPlaceAreTheServersFault(what: String) async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      let version = snapshot.manifest[0]
      switch what {
      case "hello": try await session.send(.hello(Hello(name: "s", software: "")))
      case "welcome again":
        try await session.send(.welcome(Welcome(plan: plan, heartbeatSeconds: 1, chunkBytes: 1)))
      case "a layer that is too long":
        try await session.send(.assignment(Assignment(snapshot)))
        try await session.send(
          .layer(
            LayerData(digest: version.digest, offset: 4, total: version.bytes), Data(count: version.bytes)))
      case "a layer without a beginning":
        try await session.send(.assignment(Assignment(snapshot)))
        try await session.send(
          .layer(LayerData(digest: version.digest, offset: 4, total: version.bytes), Data(count: 4)))
      default:
        try await session.send(.assignment(Assignment(snapshot)))
        guard case .offer(let offer) = try await session.serve(snapshot).1 else {
          throw Unexpected("no offer")
        }
        try await session.send(
          .request(UpdateRequest(key: offer.key, digest: offer.digest, offset: offer.bytes + 1)))
      }
      let error = await #expect(throws: ClientError.self) { try await server.result().get() }
      guard case .server? = error else { throw Unexpected("\(String(describing: error))") }
      await session.connection.close()
    }
  }
}
