import Client
import Engine
import Federation
import Foundation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct ClientSessionTests {
  @Test func aRoundIsFetchedTrainedOfferedAndUploaded() async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      let assignment = Assignment(snapshot)
      try await session.send(.assignment(assignment))
      let (fetched, message) = try await session.serve(snapshot)
      #expect(fetched == snapshot.manifest.map(\.digest), "all of it, in order")
      guard case .offer(let offer) = message else { throw Unexpected("\(message.name)") }
      #expect(offer.key == assignment.key && offer.base == snapshot.base)
      #expect(offer.bytes == snapshot.stage.count * 4)
      #expect(offer.samples == 8 && offer.steps == 1 && offer.loss.isFinite && offer.seconds > 0)
      let update = try await session.collect(offer)
      #expect(Digest(of: update) == offer.digest)
      let floats = update.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
      #expect(floats.allSatisfy { $0.isFinite })
      #expect(snapshot.replacing(trained: floats).base != snapshot.base, "something was learned")
      try await session.send(.acknowledgement(Acknowledgement(key: offer.key)))
      try await server.finish(session)
      let verdicts = server.events.all.compactMap {
        if case .judged(let verdict) = $0 { verdict } else { nil }
      }
      #expect(verdicts == [Acknowledgement(key: offer.key)])
    }
  }

  /// The second stage's new layer is a copy of the first and is not sent again.
  @Test func onlyMissingLayersAreFetched() async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let first = plan.snapshot()
      try await session.send(.assignment(Assignment(first)))
      var (fetched, message) = try await session.serve(first)
      guard case .offer(let offer) = message else { throw Unexpected("\(message.name)") }
      try await session.send(.acknowledgement(Acknowledgement(key: offer.key)))
      #expect(fetched.count == 4)
      let second = Snapshot(
        plan.stage(2),
        parts: ["stem", "blocks.0", "blocks.0", "norm", "projector"].map { name in
          first.data(first.manifest.first { $0.name == name }!.digest)!
        })
      try await session.send(.assignment(Assignment(second)))
      (fetched, message) = try await session.serve(second)
      #expect(fetched.isEmpty)
      guard case .offer(let offer) = message else { throw Unexpected("\(message.name)") }
      #expect(offer.key.stage == 2 && offer.base == second.base)
      #expect(offer.bytes == second.stage.count * 4)
      try await server.finish(session)
    }
  }

  /// The same work gives the same bits on any connection.
  @Test func anAssignmentAgainGivesTheSameUpdate() async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let snapshot = plan.snapshot()
      var digests: [Digest] = []
      let session = try await server.welcome()
      for attempt in 1...2 {
        try await session.send(.assignment(Assignment(snapshot, attempt: attempt)))
        guard case .offer(let offer) = try await session.serve(snapshot).1 else {
          throw Unexpected("no offer")
        }
        digests.append(offer.digest)
      }
      #expect(digests[0] == digests[1])
      try await server.finish(session)
    }
  }

  @Test func aRequestFromAnOffsetSendsTheRest() async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome(chunkBytes: 100)
      let snapshot = plan.snapshot()
      try await session.send(.assignment(Assignment(snapshot)))
      guard case .offer(let offer) = try await session.serve(snapshot).1 else {
        throw Unexpected("no offer")
      }
      let update = try await session.collect(offer)
      try await session.send(
        .request(UpdateRequest(key: offer.key, digest: offer.digest, offset: offer.bytes - 150)))
      var rest = Data()
      while rest.count < 150 {
        guard case .update(let head, let bytes) = try await session.hear() else {
          throw Unexpected("no piece")
        }
        #expect(head.offset == offer.bytes - 150 + rest.count && bytes.count <= 100)
        rest += bytes
      }
      #expect(rest == update.suffix(150))
      try await server.finish(session)
    }
  }

  @Test func aReleaseStopsTheTrainingAndTheNextBegins() async throws {
    let plan = Plan.endless
    try await withClient(plan, images: Plan.imagesWithoutEnd) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      for round in 1...2 {
        let assignment = Assignment(snapshot, round: round)
        try await session.send(.assignment(assignment))
        if round == 1 {
          // The training would take very long; serving ends with the first message that is not a fetch.
          for _ in snapshot.manifest { try await answerFetch(session, snapshot) }
        }
        // One permit: the second training begins only when the first has ended.
        try await server.events.first { event in
          if case .training(assignment.key, _, _, _) = event { () } else { nil }
        }
        try await session.send(.release(Release(key: assignment.key)))
        try await server.events.first { event in
          if case .dropped(assignment.key) = event { () } else { nil }
        }
      }
      try await server.finish(session)
      #expect(!server.events.all.contains { if case .trained = $0 { true } else { false } })
    }
  }

  private func answerFetch(_ session: ScriptedSession, _ snapshot: Snapshot) async throws {
    guard case .fetch(let fetch) = try await session.hear(), let weights = snapshot.data(fetch.digest) else {
      throw Unexpected("no fetch")
    }
    try await session.send(
      .layer(LayerData(digest: fetch.digest, offset: 0, total: weights.count), weights))
  }

  /// Lets a server distinguish fetching from training: the next heartbeat is an hour away.
  @Test func aHeartbeatSaysThatTheTrainingBegins() async throws {
    let plan = Plan.tiny(epochs: 10_000)
    try await withClient(plan, images: 64) { server in
      let session = try await server.welcome(heartbeatSeconds: 3600)
      let snapshot = plan.snapshot()
      try await session.send(.assignment(Assignment(snapshot)))
      for _ in snapshot.manifest { try await answerFetch(session, snapshot) }
      guard case .heartbeat(let heartbeat) = try await session.hear(heartbeats: true) else {
        throw Unexpected("no heartbeat")
      }
      #expect(heartbeat.step == 0 && heartbeat.steps == 0)
      try await server.finish(session)
    }
  }

  /// A client that is stopped announces it, so that its round continues without it at once.
  @Test func aClientThatIsStoppedDeclinesAndSaysGoodbye() async throws {
    let plan = Plan.tiny(epochs: 10_000)
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      let assignment = Assignment(snapshot)
      try await session.send(.assignment(assignment))
      for _ in snapshot.manifest { try await answerFetch(session, snapshot) }
      try await server.events.first { event in
        if case .training(assignment.key, _, _, _) = event { () } else { nil }
      }
      server.running.cancel()
      guard case .decline(let decline) = try await session.hear() else { throw Unexpected("no decline") }
      #expect(decline == Decline(key: assignment.key, reason: "the client stops"))
      guard case .goodbye(let goodbye) = try await session.hear() else { throw Unexpected("no goodbye") }
      #expect(goodbye == Goodbye(.stopping, "the client stops"))
      await session.connection.close()
      await #expect(throws: CancellationError.self) { try await server.result().get() }
    }
  }

  @Test func withoutWorkItSaysGoodbyeAlone() async throws {
    try await withClient(Plan.tiny()) { server in
      let session = try await server.welcome()
      try await server.events.first { event in if case .welcomed = event { () } else { nil } }
      server.running.cancel()
      guard case .goodbye(let goodbye) = try await session.hear() else { throw Unexpected("no goodbye") }
      #expect(goodbye.reason == .stopping)
      await session.connection.close()
    }
  }

  /// An update is not sent further after its client has dropped it, and the next message is valid.
  @Test func anUploadEndsBetweenTwoPieces() async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome(chunkBytes: 100)
      let snapshot = plan.snapshot()
      try await session.send(.assignment(Assignment(snapshot)))
      guard case .offer(let offer) = try await session.serve(snapshot).1 else { throw Unexpected("no offer") }
      try await session.send(.request(UpdateRequest(key: offer.key, digest: offer.digest)))
      guard case .update = try await session.hear() else { throw Unexpected("no piece") }
      server.running.cancel()
      var said: [Message] = []
      while !said.contains(where: { if case .goodbye = $0 { true } else { false } }) {
        let message = try await session.hear()
        if case .update = message { continue }
        said.append(message)
      }
      guard said.count <= 2, case .decline(let decline) = said[0] else { throw Unexpected("\(said)") }
      #expect(decline.key == offer.key)
      await session.connection.close()
    }
  }

  @Test func heartbeatsArriveWhileItTrains() async throws {
    let plan = Plan.endless
    try await withClient(plan, images: Plan.imagesWithoutEnd) { server in
      let session = try await server.welcome(heartbeatSeconds: 1)
      let snapshot = plan.snapshot()
      try await session.send(.assignment(Assignment(snapshot)))
      for _ in snapshot.manifest { try await answerFetch(session, snapshot) }
      var steps: [Int] = []
      while steps.count < 2 {
        guard case .heartbeat(let heartbeat) = try await session.hear(heartbeats: true) else {
          throw Unexpected("no heartbeat")
        }
        if let step = heartbeat.step, step > 0 {
          #expect(heartbeat.steps == 10_000 * Plan.imagesWithoutEnd / plan.local.batch)
          steps.append(step)
        }
      }
      #expect(steps[0] < steps[1], "it trains meanwhile: \(steps)")
      try await server.finish(session)
    }
  }
}
