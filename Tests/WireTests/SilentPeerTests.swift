import Certificates
import Federation
import Foundation
import TestSupport
import Testing
import Wire

/// Connections whose other end exists but does nothing.
@Suite(.unhurried) struct SilentPeerTests {
  /// Runs `body` with both ends of a connection, with or without TLS.
  private func withPair(
    isSecret: Bool = false, _ body: (_ client: Connection, _ server: Connection) async throws -> Void
  ) async throws {
    let authority = try Authority(creating: "test", days: 2)
    func identity(_ role: Certificate.Role, _ name: String) throws -> Identity {
      let key = try PrivateKey()
      let certificate = try authority.issue(role, name: name, hosts: ["127.0.0.1"], key: key, days: 1)
      return try Identity(certificate: certificate, key: key, authority: authority.certificate)
    }
    let own = isSecret ? try TLSContext(client: identity(.client, "a"), host: "127.0.0.1") : nil
    let others = isSecret ? try TLSContext(server: identity(.server, "server")) : nil
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    async let accepted = {
      let connection = try await listener.accept(limit: 1 << 20, tls: { others })
      try await connection.shakeHands()
      return connection
    }()
    let client = try await Connection.connect(to: listener.endpoint, limit: 1 << 20, tls: own)
    let server = try await accepted
    listener.shutDown()
    listener.close()
    try await body(client, server)
    await client.close()
    await server.close()
  }

  private static let limit = Duration.milliseconds(600)
  private static let silence = WireError.silence(limit)

  @Test(arguments: [false, true]) func whoWaitsForAWordIsToldOfTheSilence(isSecret: Bool) async throws {
    try await withPair(isSecret: isSecret) { client, _ in
      let receiving = Task { try await client.receive() }
      await client.endWhenSilent(for: Self.limit)
      await #expect(throws: Self.silence) { try await receiving.value }
      await #expect(throws: Self.silence) { try await client.send(.heartbeat(Heartbeat())) }
      #expect("\(Self.silence)" == "silent for 0.6 s")
    }
  }

  /// Heartbeats queue behind bytes that the peer does not accept; their sender gets the error, too.
  @Test(arguments: [false, true])
  func aHeartbeatBehindAStuckUpdateIsToldOfTheSilence(isSecret: Bool) async throws {
    try await withPair(isSecret: isSecret) { client, _ in
      let piece = Message.update(UpdateData(digest: Digest(of: Data()), offset: 0), Data(count: 200_000))
      let upload = Task { while true { try await client.send(piece) } }
      let beats = Task { while true { try await client.send(.heartbeat(Heartbeat())) } }
      await client.endWhenSilent(for: Self.limit)
      await #expect(throws: Self.silence) { try await upload.value }
      await #expect(throws: Self.silence) { try await beats.value }
    }
  }

  /// The peer's kernel acknowledges them all.
  @Test(arguments: [false, true]) func heartbeatsThatNobodyReadsAreNoSignOfLife(isSecret: Bool) async throws {
    try await withPair(isSecret: isSecret) { client, _ in
      let beats = Task {
        while true {
          try await client.send(.heartbeat(Heartbeat()))
          try await Task.sleep(for: .milliseconds(20))
        }
      }
      await client.endWhenSilent(for: Self.limit)
      await #expect(throws: Self.silence) { try await beats.value }
    }
  }

  /// The server accepts a client's first bytes, but does not implement TLS.
  @Test(.unhurried(slack: 3)) func aServerThatDoesNotAnswerInTLSIsSilent() async throws {
    let authority = try Authority(creating: "test", days: 2)
    let key = try PrivateKey()
    let certificate = try authority.issue(.client, name: "a", hosts: [], key: key, days: 1)
    let identity = try Identity(certificate: certificate, key: key, authority: authority.certificate)
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    await #expect(throws: WireError.silence(.seconds(WireLimits.helloSeconds))) {
      try await Connection.connect(
        to: listener.endpoint, limit: 100, tls: TLSContext(client: identity, host: "127.0.0.1"))
    }
    listener.shutDown()
    listener.close()
  }

  /// Received bytes that wait to be read are a sign of life, however late they are read.
  @Test func whatIsNotReadYetIsNoSilence() async throws {
    try await withPair { client, server in
      try await server.send(.heartbeat(Heartbeat(step: 1, steps: 2)))
      let watching = Task { await client.endWhenSilent(for: Self.limit) }
      try await Task.sleep(for: Self.limit * 3)
      #expect(try await client.receive() == .heartbeat(Heartbeat(step: 1, steps: 2)))
      watching.cancel()
      await watching.value
    }
  }
}
