import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct ClientWorkTests {
  private static let key = RoundKey(stage: 1, round: 2)

  private func offer(_ bytes: Int, _ key: RoundKey = key) -> UpdateOffer {
    let digest = Digest(of: Data([1]))
    return UpdateOffer(
      key: key, base: digest, digest: digest, bytes: bytes, samples: 1, steps: 1, loss: 1, seconds: 1)
  }

  @Test func trainingEndsAtThePaceOfItsSigns() {
    var work = ClientWork(Self.key)
    #expect(work.activity == .fetching && work.trainingEnd == nil)
    work.hear(Heartbeat(step: 10, steps: 100), at: .seconds(30))
    #expect(work.activity == .training && work.progress?.step == 10)
    #expect(work.trainingEnd == nil, "how long ten steps took is not known")
    work.hear(Heartbeat(step: 30, steps: 100), at: .seconds(40))
    #expect(work.trainingEnd == .seconds(75), "two steps a second, 70 are left")
    // The training starts again.
    work.hear(Heartbeat(step: 5, steps: 100), at: .seconds(50))
    #expect(work.trainingEnd == nil)
    work.send(offer(10), received: 0, kept: 0)
    #expect(work.progress == nil && work.trainingEnd == nil)
  }

  /// Invalid progress in a heartbeat is ignored.
  @Test func signsThatMakeNoSenseAreNone() {
    var work = ClientWork(Self.key)
    for (step, steps) in [(1, 0), (-1, 5), (6, 5), (Int.min, Int.max), (0, Int.min), (nil, 5), (3, nil)] {
      work.hear(Heartbeat(step: step, steps: steps), at: .seconds(1))
      #expect(work.activity == .fetching)
    }
    work.hear(Heartbeat(step: 0, steps: 0), at: .seconds(1))
    #expect(work.activity == .training && work.progress == nil, "its steps are not known yet")
    work.hear(Heartbeat(step: 0, steps: .max), at: .seconds(1))
    work.hear(Heartbeat(step: 1, steps: .max), at: .seconds(2))
    #expect(work.progress?.steps == .max && work.trainingEnd == nil, "no round takes that long")
  }

  @Test func whatIsHereOfAnUpdateIsNeverMoreThanAll() throws {
    var work = ClientWork(Self.key)
    work.send(offer(1000, Self.key.nextAttempt), received: 0, kept: 0)
    #expect(work.activity == .fetching, "the offer of another round")
    work.send(offer(1000), received: 5000, kept: 400)
    for (received, here) in [(5000, 400), (5100, 500), (4000, 400), (9000, 1000)] {
      let update = try #require(work.update(received: received))
      #expect(update.bytes == 1000 && update.here == here)
    }
  }

  /// Over real connections: assigned, training, sending, finished, and one disconnected.
  @Test func theServerTellsFetchingTrainingAndSendingApart() async throws {
    try await withServer(Plan.tiny(cohort: 3)) { server, path in
      func activities() async -> [String] {
        await server.connected().map { "\($0.name) \($0.activity.rawValue)" }
      }
      func awaited() throws -> [String] {
        try History(path).status()?.awaited?.map { "\($0.client) \($0.doing)" } ?? []
      }
      /// Waits until earlier messages are processed, as shown by the answer to a heartbeat.
      func settle(_ client: ScriptedClient, _ heartbeat: Heartbeat = Heartbeat()) async throws {
        try await client.connection.send(.heartbeat(heartbeat))
        while true { if case .heartbeat = try await client.connection.receive() { return } }
      }
      let names = ["device-10", "device-2", "device-1"]
      var clients: [String: ScriptedClient] = [:]
      for name in names { clients[name] = try await ScriptedClient.welcome(name, at: server.endpoint) }
      let (one, two, ten) = (clients["device-1"]!, clients["device-2"]!, clients["device-10"]!)
      let assignment = try await one.requireAssignment()
      for client in [two, ten] { _ = try await client.requireAssignment() }
      #expect(await activities() == ["device-1 fetching", "device-2 fetching", "device-10 fetching"])
      #expect(
        try awaited()
          == ["device-1 fetching layers", "device-2 fetching layers", "device-10 fetching layers"])
      try await settle(one, Heartbeat(step: 3, steps: 9))
      #expect(await activities().first == "device-1 training")
      #expect(try awaited().first == "device-1 training, step 3 of 9")
      let update = one.update(assignment)
      let offer = one.offer(assignment, update)
      try await one.connection.send(.offer(offer))
      guard case .request = try await one.hear() else { throw Unexpected("no request") }
      #expect(await activities().first == "device-1 sending")
      let half = Data(update.prefix(update.count / 2))
      try await one.connection.send(.update(UpdateData(digest: offer.digest, offset: 0), half))
      try await settle(one)
      let sending = try #require(await server.connected().first)
      #expect(sending.update?.bytes == update.count)
      #expect((half.count...update.count).contains(sending.update?.here ?? 0))
      #expect(sending.step == nil)
      // One client disconnects: it is listed as missing.
      await two.connection.close()
      try await server.events.first { if case .left(client: "device-2", _) = $0 { () } else { nil } }
      try await settle(ten)
      #expect(
        try awaited()
          == ["device-1 sending its update", "device-2 not connected", "device-10 fetching layers"])
      try await one.upload(update, as: offer.digest, from: half.count)
      guard case .acknowledgement(let verdict) = try await one.hear() else { throw Unexpected("no verdict") }
      #expect(verdict.rejection == nil)
      #expect(await activities() == ["device-1 idle", "device-10 fetching"])
      #expect(try awaited() == ["device-2 not connected", "device-10 fetching layers"])
      let status = try #require(try History(path).status())
      #expect(
        status.missing(naming: 1) == "missing: device-2 (not connected) and 1 more"
          && status.awaitedCount == 2)
    }
  }

  /// After a restart the cohort and its missing members are still known.
  @Test func aServerThatIsStartedAgainKnowsWhoIsMissing() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let plan = Plan.tiny(cohort: 2)
      try await withServer(plan, path) { server in
        let clients = [
          try await ScriptedClient.welcome("a", at: server.endpoint),
          try await ScriptedClient.welcome("b", at: server.endpoint),
        ]
        for client in clients { _ = try await client.requireAssignment() }
      }
      try await withServer(plan, path) { server in
        let one = try await ScriptedClient.welcome("a", at: server.endpoint)
        _ = try await one.requireAssignment()
        let status = try #require(try History(path).status())
        #expect(status.missing(naming: 9) == "missing: a (fetching layers), b (not connected)")
      }
    }
  }
}
