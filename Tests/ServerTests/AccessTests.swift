import Certificates
import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

/// A real server whose clients need certificates.
@Suite(.unhurried) struct AccessTests {
  /// A server with its authority, and the means to connect to it.
  private struct Guarded {
    let server: RunningServer
    let folder: CertificateFolder
    let url: URL
    /// The events of the access control.
    let events: EventLog<ServerEvent>

    var revoked: URL { url.appendingPathComponent("tls/revoked") }

    func certify(_ name: String) throws -> ClientCertificate {
      let own = ClientCertificate(url.appendingPathComponent("clients/\(name)"))
      _ = try folder.createClient(name, days: 1, in: own)
      return own
    }

    func connect(_ certificate: ClientCertificate) async throws -> Connection {
      let context = try TLSContext(client: try certificate.identity, host: "127.0.0.1")
      return try await Connection.connect(to: server.endpoint, limit: WireLimits.frame, tls: context)
    }

    /// Requests the certificate of a code. Returns the answer.
    func use(_ code: EnrolmentCode) async throws -> Message {
      let connection = try await Connection.connect(
        to: server.endpoint, limit: WireLimits.frame, tls: try TLSContext(pin: code.pin, host: "127.0.0.1"))
      let request = try SigningRequest(name: code.name, key: try PrivateKey())
      try await connection.send(
        .enrol(EnrolmentRequest(name: code.name, secret: code.secret, request: request.pem)))
      let answer = try await connection.receive()
      await connection.close()
      return answer
    }

    /// Sends a hello. Returns the connection and the answer.
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
        try await body(Guarded(server: server, folder: folder, url: url, events: events))
      }
    }
  }

  private func rejection(_ message: Message) -> String? {
    if case .goodbye(let goodbye) = message, goodbye.reason == .rejected { goodbye.detail } else { nil }
  }

  @Test func aNameIsItsCertificatesAndNobodyElses() async throws {
    try await withGuarded { guarded in
      let one = try guarded.certify("one")
      let (welcome, answer) = try await guarded.greet("one", as: one)
      guard case .welcome = answer else { throw Unexpected("\(answer.name)") }
      let (other, rejected) = try await guarded.greet("two", as: one)
      #expect(rejection(rejected)?.contains("is for one, not for two") == true)
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
      #expect(rejection(try await connection.receive())?.contains("no certificate") == true)
      await connection.close()
    }
  }

  /// The connection of a client that is already connected ends as well.
  @Test func aRevokedClientIsOutAtOnceAndStaysOut() async throws {
    try await withGuarded { guarded in
      let one = try guarded.certify("one")
      let (connection, _) = try await guarded.greet("one", as: one)
      #expect(try guarded.folder.revoke("one").certificates == 1)
      try await connection.send(.heartbeat(Heartbeat()))
      guard case .goodbye(let goodbye) = try await connection.receive() else {
        throw Unexpected("no goodbye")
      }
      #expect(goodbye.reason == .rejected && goodbye.detail == "the certificate is revoked")
      await connection.close()
      let (again, answer) = try await guarded.greet("one", as: one)
      #expect(rejection(answer) == "the certificate is revoked" || answer == .goodbye(goodbye))
      await again.close()
      // A new certificate admits the same device.
      let (back, welcome) = try await guarded.greet("one", as: try guarded.certify("one"))
      guard case .welcome = welcome else { throw Unexpected("\(welcome)") }
      await back.close()
    }
  }

  /// A missing, invalid or incomplete list gives no information. Clients are told to come back, not rejected for good.
  @Test(arguments: [nil, "0A one\n\u{0}\u{0}\u{0}\n", "0A\n", "nonsense one\n"] as [String?])
  func withoutAListOfTheRevokedNobodyGetsIn(list: String?) async throws {
    try await withGuarded { guarded in
      let one = try guarded.certify("one")
      let (connection, welcome) = try await guarded.greet("one", as: one)
      guard case .welcome = welcome else { throw Unexpected(welcome.name) }
      let before = try Data(contentsOf: guarded.revoked)
      try FileManager.default.removeItem(at: guarded.revoked)
      if let list { try Data(list.utf8).write(to: guarded.revoked) }
      // Connected clients are disconnected, too.
      try await connection.send(.heartbeat(Heartbeat()))
      var goodbyes = [try await connection.receive()]
      await connection.close()
      for _ in 0..<20 {
        let (again, answer) = try await guarded.greet("one", as: one)
        goodbyes.append(answer)
        await again.close()
      }
      for answer in goodbyes {
        guard case .goodbye(let goodbye) = answer else { throw Unexpected(answer.name) }
        #expect(goodbye.reason == .stopping && goodbye.detail.contains("cannot read"), "\(goodbye)")
      }
      let code = try guarded.folder.enrol("device")
      #expect(rejection(try await guarded.use(code))?.contains("cannot read") == true)
      let reasons = guarded.events.all.compactMap { event -> String? in
        if case .revocationsUnknown(let reason?) = event { reason } else { nil }
      }
      #expect(reasons.count == 1, "a minute: \(reasons)")
      #expect(reasons.first?.contains(guarded.revoked.path) == true, "\(reasons)")
      // The operator restores the list without a restart; the code was not used meanwhile.
      try before.write(to: guarded.revoked)
      let (back, mended) = try await guarded.greet("one", as: one)
      guard case .welcome = mended else { throw Unexpected("\(mended)") }
      await back.close()
      guard case .certificate = try await guarded.use(code) else { throw Unexpected("no certificate") }
      guard case .revocationsUnknown(nil)? = guarded.events.all.last else { throw Unexpected("not said") }
    }
  }

  @Test func aServerDoesNotBeginWithoutTheList() async throws {
    try await withTemporaryFolder { url in
      let folder = CertificateFolder(url)
      _ = try folder.createAuthority("test", days: 2)
      _ = try folder.createServer("127.0.0.1", hosts: ["127.0.0.1"], days: 1)
      _ = try Access(folder)
      try FileManager.default.removeItem(at: url.appendingPathComponent("revoked"))
      let error = #expect(throws: CertificateError.self) { try Access(folder) }
      #expect(error?.description.contains("certificate restore --tls") == true, "\(error!)")
      #expect(try folder.restoreRevocations([]).list.isEmpty)
      _ = try Access(folder)
    }
  }

  /// Restoring an old list or an old copy in the database does not undo a revocation.
  @Test func aBackupOfTheFolderBringsNobodyBack() async throws {
    try await withGuarded { guarded in
      let one = try guarded.certify("one")
      let backup = try Data(contentsOf: guarded.revoked)
      #expect(try guarded.folder.revoke("one").certificates == 1)
      func isRejected(_ server: Guarded) async throws -> Bool {
        let (connection, answer) = try await server.greet("one", as: one)
        await connection.close()
        return rejection(answer) == "the certificate is revoked"
      }
      #expect(try await isRejected(guarded))
      // While the server runs, and then before another server starts.
      try backup.write(to: guarded.revoked)
      #expect(try await isRejected(guarded))
      let serial = try one.identity.certificate.serial
      func missing(_ events: EventLog<ServerEvent>) -> [String] {
        events.all.flatMap { event -> [String] in
          if case .revocationsMissing(let missing, _, _) = event { missing.map(\.serial) } else { [] }
        }
      }
      #expect(missing(guarded.events) == [serial], "said loudly")
      await guarded.server.stop()
      _ = try? await guarded.server.result()
      let events = EventLog<ServerEvent>()
      let access = try Access(guarded.folder, observer: events.note)
      let database = guarded.url.appendingPathComponent("strata.sqlite").path
      try await withServer(Plan.tiny(cohort: 2), database, access: access) { server in
        let next = Guarded(server: server, folder: guarded.folder, url: guarded.url, events: events)
        let isOut = try await isRejected(next)
        #expect(isOut)
        #expect(missing(events) == [serial])
      }
      let authority = try guarded.folder.authorityCertificate.serial
      let copy = try History(database).revocations(of: authority)
      #expect(copy.map(\.serial) == [serial] && copy.map(\.name) == ["one"] && copy[0].date != nil)
      #expect(try History(database).revocations(of: "0A").isEmpty, "another authority's")
      // Conversely, the list is complete and the database new.
      #expect(try guarded.folder.restoreRevocations(copy).list == copy)
      let other = guarded.url.appendingPathComponent("other.sqlite").path
      try await withServer(Plan.tiny(cohort: 2), other, access: try Access(guarded.folder)) { _ in }
      #expect(try History(other).revocations(of: authority).map(\.serial) == [serial])
    }
  }

  /// A certificate that the folder cannot record is not issued, and the code stays valid.
  @Test func aCodeOutlivesAServerThatCannotIssue() async throws {
    try await withGuarded { guarded in
      let code = try guarded.folder.enrol("device")
      let key = guarded.url.appendingPathComponent("tls/authority.key")
      let away = guarded.url.appendingPathComponent("key")
      try FileManager.default.moveItem(at: key, to: away)
      try Data("nonsense".utf8).write(to: key)
      #expect(chmod(key.path, 0o600) == 0)
      #expect(rejection(try await guarded.use(code))?.contains("authority.key") == true)
      try FileManager.default.removeItem(at: key)
      try FileManager.default.moveItem(at: away, to: key)
      guard case .certificate = try await guarded.use(code) else { throw Unexpected("no certificate") }
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
      // Invalid files have no effect.
      try Data("nonsense".utf8).write(to: guarded.url.appendingPathComponent("tls/server.crt"))
      let still = try await guarded.connect(one)
      #expect(await still.identity?.serial == new)
      for connection in [before, after, still] { await connection.close() }
    }
  }

  @Test func aDeviceFetchesItsCertificateOnceWithItsCode() async throws {
    try await withGuarded { guarded in
      let code = try guarded.folder.enrol("device")
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
      #expect(rejection(try await enrol(code, name: "other")) != nil)
      guard case .certificate(let issued) = try await enrol(code, name: "device") else {
        throw Unexpected("no certificate")
      }
      let certificate = try Certificate(pem: issued.certificate)
      #expect(certificate.name == "device", "not what the request says")
      #expect(certificate.isSigned(by: try guarded.folder.authorityCertificate))
      #expect(rejection(try await enrol(code, name: "device")) != nil, "a second time")
    }
  }

  @Test func aRevokedNamesCodeFetchesNothing() async throws {
    try await withGuarded { guarded in
      let code = try guarded.folder.enrol("device")
      #expect(try guarded.folder.revoke("device").codes == 1)
      let connection = try await Connection.connect(
        to: guarded.server.endpoint, limit: WireLimits.frame,
        tls: try TLSContext(pin: code.pin, host: "127.0.0.1"))
      let request = try SigningRequest(name: "device", key: try PrivateKey())
      try await connection.send(
        .enrol(EnrolmentRequest(name: "device", secret: code.secret, request: request.pem)))
      #expect(rejection(try await connection.receive())?.contains("revoked") == true)
      await connection.close()
      #expect(try guarded.folder.issued(revoked: []).allSatisfy { $0.name != "device" })
    }
  }

  @Test func withoutTLSNobodyEnrols() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let connection = try await Connection.connect(to: server.endpoint, limit: WireLimits.frame)
      try await connection.send(
        .enrol(EnrolmentRequest(name: "device", secret: "0000000000000000", request: "")))
      #expect(rejection(try await connection.receive()) != nil)
      await connection.close()
    }
  }
}
