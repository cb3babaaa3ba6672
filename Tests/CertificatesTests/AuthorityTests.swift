import Certificates
import Foundation
import Testing

@Suite struct AuthorityTests {
  private let authority: Authority

  init() throws { authority = try Authority(creating: "test", days: 10) }

  @Test func whatItIssuesIsItsOwnAndNobodyElses() throws {
    let key = try PrivateKey()
    let certificate = try authority.issue(.client, name: "device-1", key: key, days: 3)
    #expect(certificate.name == "device-1")
    #expect(certificate.belongs(to: key))
    #expect(certificate.isSigned(by: authority.certificate))
    let other = try Authority(creating: "test", days: 10)
    #expect(!certificate.isSigned(by: other.certificate))
    #expect(!certificate.belongs(to: try PrivateKey()))
    #expect(throws: CertificateError.self) { try Authority(authority.certificate, other.key) }
  }

  /// A peer can obtain a certificate with any name.
  @Test func aNameIsOneHarmlessLine() throws {
    let key = try PrivateKey()
    let certificate = try authority.issue(
      .server, name: "a\u{1B}[2J\nb", hosts: ["c\u{9B}d\r\ne"], key: key, days: 1)
    #expect(certificate.name == #"a\u{1B}[2J\nb"#)
    #expect(!certificate.hosts.isEmpty && certificate.hosts.allSatisfy { !$0.contains(where: \.isNewline) })
    #expect(
      certificate.hosts.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0 != "\u{9B}" } })
  }

  @Test func itEndsAfterItsDays() throws {
    let start = Date()
    let certificate = try authority.issue(.client, name: "a", key: try PrivateKey(), days: 3)
    // The expiry is in whole seconds, of a clock that the kernel sets forward some times a second.
    let issued = certificate.expires - 3 * 86_400
    #expect(issued > start - 1.1 && issued <= Date())
  }

  /// A stolen device must not be able to impersonate the server.
  @Test func onlyAServersCertificateIsForServers() throws {
    let key = try PrivateKey()
    #expect(try authority.issue(.server, name: "s", hosts: ["s"], key: key, days: 1).isForServers)
    #expect(try !authority.issue(.client, name: "s", key: key, days: 1).isForServers)
    #expect(!authority.certificate.isForServers)
  }

  @Test func serialNumbersDiffer() throws {
    let key = try PrivateKey()
    let serials = try (0..<20).map { _ in try authority.issue(.client, name: "a", key: key, days: 1).serial }
    #expect(Set(serials).count == 20)
  }

  @Test func aRequestIsSignedForTheNameThatIsGiven() throws {
    let key = try PrivateKey()
    let request = try SigningRequest(pem: try SigningRequest(name: "root", key: key).pem)
    let certificate = try authority.issue(request, name: "device-1", days: 1)
    #expect(certificate.name == "device-1" && certificate.belongs(to: key))
  }

  @Test func aRequestThatWasChangedIsRejected() throws {
    let pem = try SigningRequest(name: "device-1", key: try PrivateKey()).pem
    let lines = pem.split(separator: "\n").map(String.init)
    var body = Array(try #require(Data(base64Encoded: lines.dropFirst().dropLast().joined())))
    // A byte of the subject's name, which the signature covers.
    let place = try #require(body.firstRange(of: Array("device-1".utf8))?.lowerBound)
    body[place] ^= 1
    let forged = """
      -----BEGIN CERTIFICATE REQUEST-----
      \(Data(body).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed]))
      -----END CERTIFICATE REQUEST-----

      """
    #expect(throws: CertificateError.self) { try SigningRequest(pem: forged) }
  }

  @Test(arguments: ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\u{0}\u{1}"])
  func whatIsNoPEMIsRejected(text: String) {
    #expect(throws: CertificateError.self) { try Certificate(pem: text) }
    #expect(throws: CertificateError.self) { try PrivateKey(pem: text) }
    #expect(throws: CertificateError.self) { try SigningRequest(pem: text) }
  }

  @Test func keysAndCertificatesSurviveTheirText() throws {
    let key = try PrivateKey(pem: authority.key.pem)
    let certificate = try Certificate(pem: authority.certificate.pem)
    #expect(certificate.belongs(to: key) && certificate.serial == authority.certificate.serial)
    #expect(certificate.fingerprint == authority.certificate.fingerprint)
  }
}
