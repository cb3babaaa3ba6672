import Engine
import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct SessionTests {
  private static let seed: UInt64 = 11

  /// Invalid input from peers, by its fault.
  private static let nonsense: [(String, [UInt8])] = {
    var numbers = RandomNumbers(seed)
    var random = [UInt8](repeating: 0xFF, count: 1)
    random += (0..<5000).map { _ in UInt8(numbers.below(256)) }
    var damaged = Array(try! Message.hello(Hello(name: "x", software: "")).frame().encoded())
    damaged[20] ^= 1
    var long = Array(Frame(kind: 1, head: Data(), payload: Data(count: 5000)).encoded())
    long[4] = 1
    return [
      ("random bytes", random), ("an oversized length", [0xFF, 0xFF, 0xFF, 0xFF]),
      ("a length over the limit before hello", long), ("a length under the shortest", [0, 0, 0, 3, 1, 1, 1]),
      ("HTTP", Array("GET / HTTP/1.1\r\nHost: strata\r\n\r\n".utf8)), ("a damaged hello", damaged),
      ("an unknown kind", Array(Frame(kind: 99, head: Data("{}".utf8)).encoded())),
      ("a bad head", Array(Frame(kind: 1, head: Data("{\"name\": 7}".utf8)).encoded())),
      ("a server's message", Array(try! Message.goodbye(Goodbye(.finished)).frame().encoded())),
      ("a heartbeat before hello", Array(try! Message.heartbeat(Heartbeat()).frame().encoded())),
      (
        "a fetch before hello",
        Array(try! Message.fetch(Fetch(digest: Digest(of: Data()))).frame().encoded())
      ),
    ]
  }()

  @Test func nonsenseEndsItsOwnConnectionAndTheJobGoesOn() async throws {
    try await withServer(Plan.tiny(cohort: 2)) { server, _ in
      let one = try await ScriptedClient.welcome("a", at: server.endpoint)
      for (what, bytes) in Self.nonsense {
        let answer = try await RawPeer.send(bytes, to: server.endpoint)
        // The server may send the reason in one frame before it closes the connection.
        var decoder = FrameDecoder(limit: 4096)
        decoder.append(answer)
        if let frame = try decoder.next() {
          guard case .goodbye(let goodbye) = try Message(frame) else {
            Issue.record("\(what): no goodbye")
            continue
          }
          #expect(goodbye.reason == .protocolError, "\(what), seed \(Self.seed)")
          #expect(!goodbye.detail.isEmpty && !goodbye.detail.contains("\n"), "\(what)")
        } else {
          #expect(answer.isEmpty, "\(what)")
          #expect(what == "a server's message" || what == "random bytes", "\(what) is not answered")
        }
      }
      let turnedAway = server.events.all.count { if case .turnedAway = $0 { true } else { false } }
      #expect(turnedAway == Self.nonsense.count)
      let two = try await ScriptedClient.welcome("b", at: server.endpoint)
      async let first = one.takePart(samples: 1, adding: 1)
      async let second = two.takePart(samples: 1, adding: 2)
      #expect(try await first.count == 2)
      #expect(try await second.count == 2)
      #expect(try await server.result().stage.index == 2)
    }
  }

  /// An authenticated client may violate the protocol, too.
  @Test(arguments: [
    "welcome", "assignment", "acknowledgement", "release", "hello", "layer", "request",
    "fetch beyond the end",
  ])
  func aClientThatBreaksTheProtocolIsHungUpOn(what: String) async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      let assignment = try await client.requireAssignment()
      let version = assignment.parts[0]
      let message: Message =
        switch what {
        case "welcome": .welcome(Welcome(plan: .tiny(), heartbeatSeconds: 1, chunkBytes: 1))
        case "assignment": .assignment(assignment)
        case "acknowledgement": .acknowledgement(Acknowledgement(key: assignment.key))
        case "release": .release(Release(key: assignment.key))
        case "hello": .hello(Hello(name: "a", software: "again"))
        case "layer": .layer(LayerData(digest: version.digest, offset: 0, total: 4), Data(count: 4))
        case "request": .request(UpdateRequest(key: assignment.key, digest: version.digest))
        default: .fetch(Fetch(digest: version.digest, offset: version.bytes + 1))
        }
      try await client.connection.send(message)
      guard case .goodbye(let goodbye) = try await client.hear() else { throw Unexpected("no goodbye") }
      #expect(goodbye.reason == .protocolError)
      await #expect(throws: WireError.closed) { try await client.connection.receive() }
      await client.connection.close()
      // The name is free again, and the job continues.
      try await server.events.first { if case .left("a", _) = $0 { () } else { nil } }
      let again = try await ScriptedClient.welcome("a", at: server.endpoint)
      #expect(try await again.takePart(samples: 1, adding: 1).count == 2)
    }
  }

  @Test(arguments: [-1, 4]) func aPieceThatDoesNotFollowIsHungUpOn(shift: Int) async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      let assignment = try await client.requireAssignment()
      let update = client.update(assignment)
      let offer = client.offer(assignment, update)
      try await client.connection.send(.offer(offer))
      guard case .request = try await client.hear() else { throw Unexpected("no request") }
      let head = UpdateData(digest: offer.digest, offset: shift)
      try await client.connection.send(.update(head, update.prefix(8)))
      guard case .goodbye(let goodbye) = try await client.hear() else { throw Unexpected("no goodbye") }
      #expect(goodbye.reason == .protocolError)
      await client.connection.close()
    }
  }

  @Test func moreBytesThanOfferedAreNotTaken() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      let assignment = try await client.requireAssignment()
      let update = client.update(assignment)
      let offer = client.offer(assignment, update)
      try await client.connection.send(.offer(offer))
      guard case .request = try await client.hear() else { throw Unexpected("no request") }
      try await client.connection.send(
        .update(UpdateData(digest: offer.digest, offset: 0), update + Data(count: 4)))
      guard case .goodbye(let goodbye) = try await client.hear() else { throw Unexpected("no goodbye") }
      #expect(goodbye.reason == .protocolError)
      await client.connection.close()
    }
  }

  @Test func aNameIsConnectedOnce() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let first = try await ScriptedClient.welcome("a", at: server.endpoint)
      let second = try await ScriptedClient("a", at: server.endpoint)
      guard case .goodbye(let goodbye) = try await second.hear() else { throw Unexpected("no goodbye") }
      #expect(goodbye.reason == .stopping && goodbye.detail.contains("already connected"))
      await second.connection.close()
      #expect(try await first.takePart(samples: 1, adding: 1).count == 2)
    }
  }

  @Test(arguments: [
    ("", 1), ("../a", 1), ("a b", 1), ("ä", 1), (String(repeating: "a", count: 65), 1), ("a", 2), ("a", 0),
  ])
  func aHelloThatCannotBeTakenIsRejected(name: String, version: Int) async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let connection = try await Connection.connect(to: server.endpoint, limit: WireLimits.frame)
      var hello = Hello(name: name, software: "test")
      hello.protocol = version
      try await connection.send(.hello(hello))
      guard case .goodbye(let goodbye) = try await connection.receive() else {
        throw Unexpected("no goodbye")
      }
      #expect(goodbye.reason == .rejected && !goodbye.detail.isEmpty)
      await connection.close()
    }
  }

  @Test func aHeartbeatIsAnsweredAndNoted() async throws {
    try await withServer(Plan.tiny(cohort: 2)) { server, _ in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      try await client.connection.send(.heartbeat(Heartbeat(step: 3, steps: 9)))
      #expect(try await client.connection.receive() == .heartbeat(Heartbeat()))
      let progress = try await server.events.first { event -> (String, Int, Int)? in
        if case .progress(let client, let step, let steps) = event { (client, step, steps) } else { nil }
      }
      #expect(progress == ("a", 3, 9))
      await client.connection.close()
    }
  }

  /// A block of this width is larger than a chunk, and so is its update.
  @Test func longLayersAndUpdatesTravelInPieces() async throws {
    var plan = Plan.tiny(cohort: 1)
    (plan.encoder.width, plan.encoder.vit.mlpRatio, plan.encoder.vit.heads) = (128, 4, 4)
    try await withServer(plan) { server, _ in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      let assignment = try await client.requireAssignment()
      let block = try #require(assignment.parts.first { $0.name == "blocks.0" })
      #expect(block.bytes > 2 * WireLimits.chunk)
      #expect(try await client.fetch(block).count == block.bytes)
      // A transfer can be resumed from an offset.
      try await client.connection.send(.fetch(Fetch(digest: block.digest, offset: block.bytes - 8)))
      guard case .layer(let head, let bytes) = try await client.hear() else {
        throw Unexpected("no layer")
      }
      #expect(head.offset == block.bytes - 8 && bytes.count == 8)
      let update = client.update(assignment, value: 0.125)
      #expect(try await client.submit(client.offer(assignment, update), update) == nil)
      let next = try await client.requireAssignment()
      let norm = try #require(next.parts.first { $0.name == "norm" })
      #expect(try await client.fetch(norm).floats.allSatisfy { $0 == 0.125 })
      await client.connection.close()
    }
  }

  /// docs/protocol.md: a fetch at a layer's end is answered with an empty piece; a fetch of an unknown layer is not.
  @Test func aFetchFromTheEndIsAnsweredAndOneOfNothingIsNot() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      let part = try await client.requireAssignment().parts[0]
      for fetch in [
        Fetch(digest: Digest(of: Data("unknown".utf8))), Fetch(digest: part.digest, offset: part.bytes),
        Fetch(digest: part.digest, offset: part.bytes - 4),
      ] { try await client.connection.send(.fetch(fetch)) }
      for left in [0, 4] {
        guard case .layer(let head, let bytes) = try await client.hear() else { throw Unexpected("no layer") }
        #expect(head.digest == part.digest && head.total == part.bytes)
        #expect(head.offset == part.bytes - left && bytes.count == left)
      }
      await client.connection.close()
    }
  }

  /// docs/protocol.md: a client requests no more than it reads.
  @Test func fetchesWhoseAnswersAreNotReadEndTheConnection() async throws {
    var plan = Plan.tiny(cohort: 1)
    (plan.encoder.width, plan.encoder.vit.mlpRatio, plan.encoder.vit.heads) = (128, 4, 4)
    try await withServer(plan) { server, _ in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      let block = try #require(try await client.requireAssignment().parts.first { $0.name == "blocks.0" })
      let sending = Task {
        for _ in 0..<2 * Session.mostWaitingLayers {
          try await client.connection.send(.fetch(Fetch(digest: block.digest)))
        }
      }
      // It reads again after the server has closed the connection.
      let reason = try await server.events.first {
        if case .left("a", let reason) = $0 { reason } else { nil }
      }
      #expect(reason.contains("fetches"), "\(reason)")
      await client.connection.close()
      _ = await sending.result
    }
  }
}
