import Certificates
import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

/// A real server whose clients need certificates.
@Suite(.unhurried) struct AccessTests {
  /// A server with its authority, and what is needed to meet it.
  private struct Guarded {
    let server: RunningServer
    let folder: CertificateFolder
    let url: URL

    func certify(_ name: String) throws -> ClientCertificate {
      let own = ClientCertificate(url.appendingPathComponent("clients/\(name)"))
      _ = try folder.createClient(name, days: 1, in: own)
      return own
    }

    func connect(_ certificate: ClientCertificate) async throws -> Connection {
      let context = try TLSContext(client: try certificate.identity, host: "127.0.0.1")
      return try await Connection.connect(to: server.endpoint, limit: WireLimits.frame, tls: context)
    }

    /// The answer to a hello.
    func greet(_ name: String, as certificate: ClientCertificate) async throws -> (Connection, Message) {
      let connection = try await connect(certificate)
      try await connection.send(.hello(Hello(name: name, software: "test")))
      return (connection, try await connection.receive())
    }
  }

  private func withGuarded(_ body: (Guarded) async throws -> Void) async throws {
    try await withTemporaryFolder { url in
      let folder = CertificateFolder(url.appendingPathComponent("tls"))
      _ = try folder.createAuthority("test", days: 2)
      _ = try folder.createServer("127.0.0.1", hosts: ["127.0.0.1"], days: 1)
      let events = EventLog<ServerEvent>()
      let access = try Access(folder, observer: events.note)
      let path = url.appendingPathComponent("strata.sqlite").path
      try await withServer(Plan.tiny(cohort: 2), path, access: access) { server in
        try await body(Guarded(server: server, folder: folder, url: url))
      }
    }
  }

  private func refusal(_ message: Message) -> String? {
    if case .goodbye(let goodbye) = message, goodbye.reason == .refused { goodbye.detail } else { nil }
  }

  @Test func aNameIsItsCertificatesAndNobodyElses() async throws {
    try await withGuarded { guarded in
      let one = try guarded.certify("one")
      let (welcome, answer) = try await guarded.greet("one", as: one)
      guard case .welcome = answer else { throw Unexpected("\(answer.name)") }
      let (other, refused) = try await guarded.greet("two", as: one)
      #expect(refusal(refused)?.contains("is that of one, not of two") == true)
      await welcome.close()
      await other.close()
    }
  }

  @Test func whoShowsNoCertificateCanOnlyEnrol() async throws {
    try await withGuarded { guarded in
      let pin = EnrolmentCode.pin(of: try guarded.folder.authorityCertificate)
      let connection = try await Connection.connect(
        to: guarded.server.endpoint, limit: WireLimits.frame, tls: try TLSContext(pin: pin, host: "127.0.0.1")
      )
      try await connection.send(.hello(Hello(name: "one", software: "test")))
      #expect(refusal(try await connection.receive())?.contains("no certificate") == true)
      await connection.close()
    }
  }

  /// The connection of a client that is there already ends as well.
  @Test func aRevokedClientIsOutAtOnceAndStaysOut() async throws {
    try await withGuarded { guarded in
      let one = try guarded.certify("one")
      let (connection, _) = try await guarded.greet("one", as: one)
      #expect(try guarded.folder.revoke("one").certificates == 1)
      try await connection.send(.heartbeat(Heartbeat()))
      guard case .goodbye(let goodbye) = try await connection.receive() else {
        throw Unexpected("no goodbye")
      }
      #expect(goodbye.reason == .refused && goodbye.detail == "the certificate is revoked")
      await connection.close()
      let (again, answer) = try await guarded.greet("one", as: one)
      #expect(refusal(answer) == "the certificate is revoked" || answer == .goodbye(goodbye))
      await again.close()
      // A new certificate lets the same box in.
      let (back, welcome) = try await guarded.greet("one", as: try guarded.certify("one"))
      guard case .welcome = welcome else { throw Unexpected("\(welcome)") }
      await back.close()
    }
  }

  @Test func aNewServerCertificateIsUsedWithoutARestart() async throws {
    try await withGuarded { guarded in
      let one = try guarded.certify("one")
      let (before, _) = try await guarded.greet("one", as: one)
      let old = await before.identity?.serial
      let new = try guarded.folder.createServer("127.0.0.1", hosts: ["127.0.0.1"], days: 1).serial
      let after = try await guarded.connect(one)
      #expect(await after.identity?.serial == new && old != new)
      // Files that make no sense change nothing.
      try Data("nonsense".utf8).write(to: guarded.url.appendingPathComponent("tls/server.crt"))
      let still = try await guarded.connect(one)
      #expect(await still.identity?.serial == new)
      for connection in [before, after, still] { await connection.close() }
    }
  }

  @Test func aBoxFetchesItsCertificateOnceWithItsCode() async throws {
    try await withGuarded { guarded in
      let code = try guarded.folder.enrol("box")
      func enrol(_ code: EnrolmentCode, name: String) async throws -> Message {
        let connection = try await Connection.connect(
          to: guarded.server.endpoint, limit: WireLimits.frame,
          tls: try TLSContext(pin: code.pin, host: "127.0.0.1"))
        let request = try SigningRequest(name: "whatever", key: try PrivateKey())
        try await connection.send(
          .enrol(EnrolmentRequest(name: name, secret: code.secret, request: request.pem)))
        let answer = try await connection.receive()
        await connection.close()
        return answer
      }
      #expect(refusal(try await enrol(code, name: "other")) != nil)
      guard case .certificate(let issued) = try await enrol(code, name: "box") else {
        throw Unexpected("no certificate")
      }
      let certificate = try Certificate(pem: issued.certificate)
      #expect(certificate.name == "box", "not what the request says")
      #expect(certificate.isSigned(by: try guarded.folder.authorityCertificate))
      #expect(refusal(try await enrol(code, name: "box")) != nil, "a second time")
    }
  }

  @Test func aRevokedNamesCodeFetchesNothing() async throws {
    try await withGuarded { guarded in
      let code = try guarded.folder.enrol("box")
      #expect(try guarded.folder.revoke("box").codes == 1)
      let connection = try await Connection.connect(
        to: guarded.server.endpoint, limit: WireLimits.frame,
        tls: try TLSContext(pin: code.pin, host: "127.0.0.1"))
      let request = try SigningRequest(name: "box", key: try PrivateKey())
      try await connection.send(
        .enrol(EnrolmentRequest(name: "box", secret: code.secret, request: request.pem)))
      #expect(refusal(try await connection.receive())?.contains("withdrawn") == true)
      await connection.close()
      #expect(guarded.folder.issued.allSatisfy { $0.name != "box" })
    }
  }

  @Test func withoutTLSNobodyEnrols() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let connection = try await Connection.connect(to: server.endpoint, limit: WireLimits.frame)
      try await connection.send(
        .enrol(EnrolmentRequest(name: "box", secret: "0000000000000000", request: "")))
      #expect(refusal(try await connection.receive()) != nil)
      await connection.close()
    }
  }
}
