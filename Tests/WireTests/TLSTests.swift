import Certificates
import Federation
import Foundation
import TestSupport
import Testing
import Wire

/// TLS connections over the loopback interface, with real certificates.
@Suite(.unhurried) struct TLSTests {
  private let authority: Authority
  private let server: TLSContext

  init() throws {
    authority = try Authority(creating: "test", days: 2)
    server = try Self.server(authority, ["127.0.0.1"])
  }

  private static func identity(
    _ role: Certificate.Role, _ authority: Authority, _ name: String, _ hosts: [String] = [], days: Int = 1
  ) throws -> Identity {
    let key = try PrivateKey()
    let certificate = try authority.issue(role, name: name, hosts: hosts, key: key, days: days)
    return try Identity(certificate: certificate, key: key, authority: authority.certificate)
  }

  private static func server(_ authority: Authority, _ hosts: [String]) throws -> TLSContext {
    try TLSContext(server: try identity(.server, authority, "server", hosts))
  }

  private func client(_ name: String, days: Int = 1) throws -> TLSContext {
    try TLSContext(client: try Self.identity(.client, authority, name, days: days), host: "127.0.0.1")
  }

  /// The result of a connection on each side.
  private struct Meeting: Sendable {
    var identity: PeerIdentity?
    var serverError: WireError?
    var clientError: WireError?
    var heard: Message?
    var carried = (client: 0, server: 0)
    var peerCarried = (client: 0, server: 0)
  }

  /// Sends a message from a client to a server, which returns it.
  private func meet(
    _ server: TLSContext?, _ client: TLSContext?, _ message: Message = .heartbeat(Heartbeat())
  ) async throws -> Meeting {
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    async let serving = { () async throws -> Meeting in
      var meeting = Meeting()
      let connection = try await listener.accept(limit: 1 << 22, tls: { server })
      do {
        try await connection.shakeHands()
        meeting.identity = await connection.identity
        let heard = try await connection.receive()
        try await connection.send(heard)
        // The client closes the connection after it has read everything.
        _ = try? await connection.receive()
      } catch {
        meeting.serverError = error as? WireError
      }
      meeting.carried = (connection.traffic.received, connection.traffic.sent)
      await connection.close()
      return meeting
    }()
    var (error, heard): (WireError?, Message?) = (nil, nil)
    var carried = (0, 0)
    do {
      let connection = try await Connection.connect(to: listener.endpoint, limit: 1 << 22, tls: client)
      do {
        try await connection.send(message)
        heard = try await connection.receive()
      } catch let failure {
        error = failure
      }
      carried = (connection.traffic.sent, connection.traffic.received)
      await connection.close()
    } catch let failure {
      error = failure
    }
    var meeting = try await serving
    (meeting.clientError, meeting.heard, meeting.peerCarried) = (error, heard, carried)
    listener.shutDown()
    listener.close()
    return meeting
  }

  /// Returns why a peer's certificate is not trusted; nil for any other error.
  private func distrust(_ error: WireError?) -> String? {
    if case .tls(.distrusted(let reason))? = error { reason } else { nil }
  }

  @Test func messagesTravelAndTheServerKnowsWhoSpeaks() async throws {
    let payload = Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    let message = Message.layer(
      LayerData(digest: Digest(of: payload), offset: 0, total: payload.count), payload)
    let meeting = try await meet(server, try client("device-1"), message)
    #expect(meeting.heard == message)
    #expect(meeting.identity?.name == "device-1")
    // The bytes sent by one side equal those received by the other, including TLS.
    #expect(meeting.carried.client == meeting.peerCarried.client)
    // OpenSSL sends a last alert to a peer that has already closed the connection.
    #expect((0...64).contains(meeting.carried.server - meeting.peerCarried.server), "\(meeting)")
    #expect(meeting.carried.client > payload.count)
  }

  @Test func aClientWithoutACertificateIsNobody() async throws {
    let pinned = try TLSContext(pin: EnrolmentCode.pin(of: authority.certificate), host: "127.0.0.1")
    let meeting = try await meet(server, pinned)
    #expect(meeting.heard == .heartbeat(Heartbeat()) && meeting.identity == nil)
  }

  @Test func aClientOfAnotherAuthorityDoesNotGetIn() async throws {
    let other = try Authority(creating: "test", days: 1)
    let key = try PrivateKey()
    let certificate = try other.issue(.client, name: "device-1", key: key, days: 1)
    // It trusts the right server, and presents a certificate signed by another authority.
    let forger = try TLSContext(
      showing: certificate, key, believing: authority.certificate, host: "127.0.0.1")
    let meeting = try await meet(server, forger)
    #expect(meeting.heard == nil && meeting.identity == nil)
    // The client may see the end of the connection before the alert with the reason.
    guard case .tls? = meeting.serverError, meeting.clientError != nil else {
      Issue.record("\(meeting)")
      return
    }
  }

  @Test func anExpiredCertificateDoesNotGetIn() async throws {
    let meeting = try await meet(server, try client("device-1", days: -1))
    let reason = try #require(distrust(meeting.serverError), "\(meeting)")
    let day = Date(timeIntervalSinceNow: -86_400).day
    #expect(
      reason.hasPrefix("the certificate of device-1 expired on \(day): it must enrol again"), "\(reason)")
    #expect(meeting.heard == nil)
  }

  /// The client's first bytes cross the server's alert, and may fail before it is read.
  @Test func whoIsRejectedIsToldWhyEveryTime() async throws {
    let expired = try client("device-1", days: -1)
    for _ in 0..<50 {
      let meeting = try await meet(server, expired)
      #expect(
        meeting.clientError
          == .tls(.rejected("the server rejects this device's certificate: it has expired; enrol again")),
        "\(meeting)")
    }
  }

  @Test func anExpiredServerIsNotBelievedAndSaysSo() async throws {
    let hosts = ["127.0.0.1"]
    let expired = try TLSContext(
      server: try Self.identity(.server, authority, "server", hosts, days: -1))
    let meeting = try await meet(expired, try client("device-1"))
    let day = Date(timeIntervalSinceNow: -86_400).day
    let reason = try #require(distrust(meeting.clientError), "\(meeting)")
    #expect(reason.hasPrefix("the server's certificate expired on \(day), or this device's clock, "))
    let rejection =
      "the device rejects this server's certificate: it has expired by the device's clock, on \(day)"
    #expect(meeting.serverError == .tls(.rejected(rejection)))
    // A new device would fail in the same way.
    let pinned = try TLSContext(pin: EnrolmentCode.pin(of: authority.certificate), host: "127.0.0.1")
    let early = try #require(distrust(try await meet(expired, pinned).clientError))
    #expect(early.hasPrefix("the server's certificate expired on \(day)"), "\(early)")
  }

  /// A stolen device cannot impersonate the server.
  @Test func aClientsCertificateIsNotAServers() async throws {
    let fake = try TLSContext(server: try Self.identity(.client, authority, "127.0.0.1", ["127.0.0.1"]))
    let meeting = try await meet(fake, try client("device-1"))
    guard case .tls? = meeting.clientError else {
      Issue.record("\(meeting)")
      return
    }
  }

  @Test func aServerOfAnotherNameIsNotTheOne() async throws {
    let elsewhere = try Self.server(authority, ["strata.example", "127.0.0.2"])
    let words = """
      the server's certificate is for strata.example, 127.0.0.2, not for 127.0.0.1: fedserver certificate server \
      server --host strata.example --host 127.0.0.2 --host 127.0.0.1 --tls DIR
      """
    let pinned = try TLSContext(pin: EnrolmentCode.pin(of: authority.certificate), host: "127.0.0.1")
    for context in [try client("device-1"), pinned] {
      let meeting = try await meet(elsewhere, context)
      #expect(meeting.clientError == .tls(.distrusted(words)) && meeting.heard == nil)
    }
  }

  @Test func aServerOfAnotherAuthorityIsNotTheOne() async throws {
    let other = try Self.server(try Authority(creating: "test", days: 1), ["127.0.0.1"])
    let rejected = try await meet(other, try client("device-1"))
    #expect(rejected.heard == nil)
    let words = "the server's certificate was issued by another authority than this device's: enrol again"
    #expect(rejected.clientError == .tls(.distrusted(words)))
    let fault = "the device trusts another authority; it must enrol again"
    #expect(rejected.serverError == .tls(.rejected("the device rejects this server's certificate: \(fault)")))
    // The same holds for a new device, which knows the authority only by its pin.
    let meeting = try await meet(
      other, try TLSContext(pin: EnrolmentCode.pin(of: authority.certificate), host: "127.0.0.1"))
    #expect(
      meeting.clientError
        == .tls(.distrusted("the code is for another server, or mistyped")))
  }

  @Test func withoutTLSOnOneSideNothingIsSaid() async throws {
    let plain = try await meet(server, nil)
    #expect(plain.serverError == .tls(.broken("wrong version number")) && plain.clientError == .closed)
    let secret = try await meet(nil, try client("device-1"))
    #expect(secret.heard == nil && secret.serverError != nil)
  }

  /// OpenSSL's client, as other software would use it.
  @Test func onlyTLS13IsSpoken() async throws {
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    for (version, isSpoken) in [("-tls1_2", false), ("-tls1_3", true)] {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
      process.arguments = ["s_client", version, "-connect", "\(listener.endpoint)"]
      process.standardInput = FileHandle(forReadingAtPath: "/dev/null")
      process.standardOutput = FileHandle(forWritingAtPath: "/dev/null")
      process.standardError = FileHandle(forWritingAtPath: "/dev/null")
      async let ending = process.end()
      let connection = try await listener.accept(limit: 100, tls: { server })
      var isDone = true
      do { try await connection.shakeHands() } catch { isDone = false }
      #expect(isDone == isSpoken, "\(version)")
      await connection.close()
      _ = try await ending
    }
    listener.shutDown()
    listener.close()
  }
}
