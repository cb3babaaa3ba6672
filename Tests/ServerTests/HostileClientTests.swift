import Engine
import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

/// Authenticated clients that misbehave, at a real server.
@Suite(.unhurried) struct HostileClientTests {
  /// Repeats the hello until the client is admitted, because the old connection must first be silent for long enough.
  private func takeOver(_ name: String, at endpoint: Endpoint) async throws -> ScriptedClient {
    while true {
      let client = try await ScriptedClient(name, at: endpoint)
      switch try await client.hear() {
      case .welcome: return client
      case .goodbye(let goodbye) where goodbye.reason == .stopping:
        await client.connection.close()
        // Like a client between two attempts; no event shows when the silence is long enough.
        try await Task.sleep(for: .milliseconds(500))
      case let message: throw Unexpected("\(message)")
      }
    }
  }

  /// The old connection sends the last bytes of its update after another connection has taken its name and offered
  /// another update. Heartbeats of 20 s: the takeover takes half a minute, and closing the silent connection another.
  @Test(.unhurried(slack: 2)) func aConnectionThatWasReplacedHasNoEffect() async throws {
    try await withServer(Plan.tiny(cohort: 2)) { server, _ in
      let other = try await ScriptedClient.welcome("b", at: server.endpoint)
      let old = try await ScriptedClient.welcome("a", at: server.endpoint)
      let assignment = try await old.requireAssignment()
      let update = old.update(assignment)
      let offer = old.offer(assignment, update)
      try await old.connection.send(.offer(offer))
      guard case .request = try await old.hear() else { throw Unexpected("no request") }
      let held = update.count - 4
      try await old.connection.send(.update(UpdateData(digest: offer.digest, offset: 0), update.prefix(held)))

      let new = try await takeOver("a", at: server.endpoint)
      let again = try await new.requireAssignment()
      let second = new.update(again, value: 0.25)
      let newOffer = new.offer(again, second)
      try await new.connection.send(.offer(newOffer))
      guard case .request(let request) = try await new.hear() else { throw Unexpected("no request") }
      #expect(request.digest == newOffer.digest)
      try await old.connection.send(
        .update(UpdateData(digest: offer.digest, offset: held), Data(update[held...])))
      // The old connection gets only the reason of its end.
      guard case .goodbye(let goodbye) = try await old.hear() else { throw Unexpected("no goodbye") }
      #expect(goodbye.reason == .rejected && goodbye.detail.contains("another connection"))
      await old.connection.close()
      // The new connection continues, and the job finishes.
      try await new.upload(second, as: newOffer.digest)
      guard case .acknowledgement(let verdict) = try await new.hear() else { throw Unexpected("no verdict") }
      #expect(verdict.rejection == nil)
      async let rest = new.takePart(samples: 1, adding: 1)
      #expect(try await other.takePart(samples: 1, adding: 1).count == 2)
      #expect(try await rest.count == 1)
      _ = try await server.result()
    }
  }

  @Test func offersInVainEndTheConnectionAndFillNothing() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, database in
      // The honest client is asked to train, the flooder is not.
      let honest = try await ScriptedClient.welcome("honest", at: server.endpoint)
      let flooder = try await ScriptedClient.welcome("flooder", at: server.endpoint)
      let digest = Digest(of: Data())
      let offer = UpdateOffer(
        key: RoundKey(stage: 1, round: 99), base: digest, digest: digest, bytes: 4, samples: 1, steps: 1,
        loss: 1, seconds: 1)
      let sending = Task { for _ in 0..<10_000 { try await flooder.connection.send(.offer(offer)) } }
      var rejections = 0
      let goodbye: Goodbye
      hearing: while true {
        switch try await flooder.hear() {
        case .acknowledgement(let verdict):
          #expect(verdict.rejection == .wrongRound)
          rejections += 1
        case .goodbye(let last):
          goodbye = last
          break hearing
        case .assignment, .release: continue
        case let message: throw Unexpected("\(message)")
        }
      }
      sending.cancel()
      _ = await sending.result
      #expect(goodbye.reason == .rejected && goodbye.detail.contains("had no effect"))
      #expect((32...40).contains(rejections))
      await flooder.connection.close()
      let recorded = server.events.all.count { if case .rejected = $0 { true } else { false } }
      #expect(recorded == JobEngine.mostRecorded)
      // The flooder is not admitted again at once; another client is.
      let again = try await ScriptedClient("flooder", at: server.endpoint)
      guard case .goodbye(let rest) = try await again.hear() else { throw Unexpected("no goodbye") }
      #expect(rest.reason == .rejected && rest.detail.contains("without effect"))
      await again.connection.close()
      #expect(try await honest.takePart(samples: 1, adding: 1).isEmpty == false)
      _ = try await server.result()
      let rows = try Store(database).rejectedRows()
      #expect(rows == JobEngine.mostRecorded)
    }
  }

  /// Each arrival causes log lines and a write to the database.
  @Test func aClientThatComesBackAllTheTimeIsToldToWait() async throws {
    try await withServer(Plan.tiny(cohort: 2)) { server, _ in
      var (welcomes, goodbye) = (0, Goodbye?.none)
      while goodbye == nil {
        let client = try await ScriptedClient("a", at: server.endpoint)
        switch try await client.hear() {
        case .welcome: welcomes += 1
        // The last connection may not have ended yet.
        case .goodbye(let last) where !last.detail.contains("already connected"): goodbye = last
        default: break
        }
        try await client.connection.send(.goodbye(Goodbye(.stopping)))
        await client.connection.close()
      }
      #expect(goodbye?.reason == .stopping && goodbye?.detail.contains("too often") == true)
      #expect(welcomes >= 60)
    }
  }
}

/// docs/protocol.md states the limits on a client's messages.
@Suite struct MessageLimitDocsTests {
  @Test func itsNumbersAreTheCodes() throws {
    let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/protocol.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    #expect(text.contains("the first \(JobEngine.mostRecorded) are recorded"))
    #expect(text.contains("After \(MessageLimiter.mostInVain) messages in vain"))
    #expect(MessageLimiter.vainInterval == .seconds(10) && text.contains("one more every ten seconds"))
    #expect(text.contains("for which \(Session.mostWaitingMessages) messages wait"))
    #expect(text.contains("more than 1,024 fetches") && Session.mostWaitingLayers == 1024)
  }
}

extension Store {
  /// Returns the number of rejected updates in all rounds.
  fileprivate func rejectedRows() throws -> Int {
    try committedRounds().reduce(0) { count, committed in
      try count + updates(of: committed.round).count { $0.rejection != nil }
    }
  }
}
