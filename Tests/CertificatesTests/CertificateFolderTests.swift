import Certificates
import Dispatch
import Foundation
import Testing

@Suite struct CertificateFolderTests {
  private func withFolder(_ body: (CertificateFolder, URL) throws -> Void) throws {
    try withTemporaryFolder { url in
      let folder = CertificateFolder(url.appendingPathComponent("tls"))
      _ = try folder.createAuthority("test", days: 10)
      try body(folder, url)
    }
  }

  @Test func nobodyButItsOwnerReadsAnything() throws {
    try withFolder { folder, url in
      _ = try folder.createServer("s", hosts: ["s"], days: 1)
      _ = try folder.createClient(
        "c", days: 1, in: ClientCertificate(url.appendingPathComponent("c/tls")))
      _ = try folder.enrol("box")
      let paths = FileManager.default.enumerator(atPath: url.path)?.allObjects as? [String] ?? []
      #expect(paths.count >= 12)
      for path in paths where path != "c" {
        let mode = try FileManager.default.attributesOfItem(atPath: url.path + "/" + path)[.posixPermissions]
        #expect((mode as? Int ?? 0o777) & 0o077 == 0, "\(path)")
      }
    }
  }

  /// With another authority all that was issued is lost.
  @Test func anAuthorityIsNeverReplaced() throws {
    try withFolder { folder, _ in
      let before = try folder.authorityCertificate.serial
      #expect(throws: CertificateError.self) { try folder.createAuthority("other", days: 1) }
      #expect(try folder.authorityCertificate.serial == before)
    }
  }

  @Test func revokingANameRevokesWhatItHasAndNothingElse() throws {
    try withFolder { folder, url in
      let place = ClientCertificate(url.appendingPathComponent("c"))
      let serials = try ["a", "a", "b"].map { try folder.createClient($0, days: 1, in: place).serial }
      let stamp = folder.revocationStamp
      #expect(try folder.revoke("a").certificates == 2)
      #expect(folder.revokedSerials == Set(serials.prefix(2)))
      #expect(folder.revocationStamp != stamp)
      #expect(try folder.revoke("a").certificates == 0)
      // A new certificate of the same name is good.
      let new = try folder.createClient("a", days: 1, in: place)
      #expect(!folder.revokedSerials.contains(new.serial))
      #expect(folder.issued.map(\.isRevoked) == [true, true, false, false])
    }
  }

  @Test func aCodeIsGoodOnceForItsNameAndForTwoDays() throws {
    try withFolder { folder, _ in
      let now = Date()
      let code = try folder.enrol("box", now: now)
      #expect(!folder.redeem(code.secret, for: "other", now: now))
      #expect(!folder.redeem("0000000000000000", for: "box", now: now))
      #expect(folder.redeem(code.secret, for: "box", now: now))
      #expect(!folder.redeem(code.secret, for: "box", now: now), "used")
      let late = try folder.enrol("box", now: now)
      #expect(!folder.redeem(late.secret, for: "box", now: now.addingTimeInterval(48 * 3600 + 1)))
    }
  }

  /// A box that is lost before it has enrolled has a code alone.
  @Test func revokingANameWithdrawsItsCodesAndNobodyElses() throws {
    try withFolder { folder, _ in
      let now = Date()
      let old = try folder.enrol("a", now: now.addingTimeInterval(-49 * 3600))
      let (first, second, other) = (try folder.enrol("a"), try folder.enrol("a"), try folder.enrol("b"))
      #expect(folder.openCodes().map(\.name) == ["a", "a", "b"])
      let end = try #require(folder.openCodes().first).expires
      #expect(abs(end.timeIntervalSince(now) - 48 * 3600) < 60)
      let revoked = try folder.revoke("a")
      #expect(revoked.codes == 2 && revoked.certificates == 0, "the third was not good any more")
      for code in [old, first, second] { #expect(!folder.redeem(code.secret, for: "a")) }
      #expect(folder.openCodes().map(\.name) == ["b"])
      #expect(folder.redeem(other.secret, for: "b"))
      #expect(folder.openCodes().isEmpty)
    }
  }

  @Test func theSecretItselfIsNotKept() throws {
    try withFolder { folder, url in
      let code = try folder.enrol("box")
      let files = try FileManager.default.subpathsOfDirectory(atPath: url.path)
      #expect(files.contains { $0.contains("enrolments/") })
      for file in files {
        let text = (try? String(contentsOfFile: url.path + "/" + file, encoding: .utf8)) ?? ""
        #expect(!file.contains(code.secret) && !text.contains(code.secret))
      }
    }
  }

  @Test func filesThatDoNotBelongTogetherAreNamed() throws {
    try withFolder { folder, url in
      _ = try folder.createServer("s", hosts: ["s"], days: 1)
      try Data(try PrivateKey().pem.utf8).write(to: url.appendingPathComponent("tls/server.key"))
      #expect(throws: CertificateError.self) { try folder.server }
      try FileManager.default.removeItem(at: url.appendingPathComponent("tls/server.key"))
      let error = #expect(throws: CertificateError.self) { try folder.server }
      #expect("\(error!)".contains("tls/server.key: there is no such file"))
    }
  }

  @Test func withoutTheAuthoritysKeyNothingIsIssued() throws {
    try withFolder { folder, url in
      try FileManager.default.removeItem(at: url.appendingPathComponent("tls/authority.key"))
      #expect(!folder.canIssue)
      #expect(throws: CertificateError.self) { try folder.enrol("box") }
    }
  }

  /// A server that enrols boxes and an operator's command keep one book.
  @Test func whoIssuesAtTheSameTimeLosesNoLine() throws {
    try withFolder { folder, _ in
      let key = try PrivateKey()
      let request = try SigningRequest(name: "box", key: key)
      DispatchQueue.concurrentPerform(iterations: 64) { number in
        _ = try? folder.issue(request, name: "box-\(number)", days: 1)
      }
      #expect(Set(folder.issued.map(\.name)).count == 64)
    }
  }
}
