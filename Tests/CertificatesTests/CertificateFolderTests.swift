import TestSupport
import Certificates
import Dispatch
import Foundation
import Synchronization
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
      _ = try folder.enrol("device")
      let paths = FileManager.default.enumerator(atPath: url.path)?.allObjects as? [String] ?? []
      #expect(paths.count >= 12)
      for path in paths where path != "c" {
        let mode = try FileManager.default.attributesOfItem(atPath: url.path + "/" + path)[.posixPermissions]
        #expect((mode as? Int ?? 0o777) & 0o077 == 0, "\(path)")
      }
    }
  }

  /// A service that is restarted meanwhile gets the old or the new identity, never parts of both.
  @Test func aReaderNeverSeesHalfAReplacement() throws {
    try withFolder { folder, url in
      let place = ClientCertificate(url.appendingPathComponent("c"))
      let others = CertificateFolder(url.appendingPathComponent("others"))
      _ = try others.createAuthority("others", days: 10)
      _ = try folder.createClient("c", days: 1, in: place)
      _ = try folder.createServer("s", hosts: ["s"], days: 1)
      let isDone = Mutex(false)
      let problems = Mutex<[String]>([])
      let readers = DispatchGroup()
      for read in [{ _ = try place.identity }, { _ = try folder.server }] as [@Sendable () throws -> Void] {
        let thread = DispatchQueue(label: "reader")
        thread.async(group: readers) {
          while !isDone.withLock({ $0 }) {
            do { try read() } catch { problems.withLock { $0.append("\(error)") } }
          }
        }
      }
      for number in 0..<40 {
        // Every second one is of another authority, which is replaced, too.
        _ = try (number % 2 == 0 ? others : folder).createClient("c", days: 1, in: place)
        _ = try folder.createServer("s", hosts: ["s"], days: 1)
      }
      isDone.withLock { $0 = true }
      readers.wait()
      problems.withLock { #expect($0.isEmpty, "\($0.prefix(3))") }
    }
  }

  /// As if the power had failed after the certificate was replaced.
  @Test func anInterruptedReplacementIsContinued() throws {
    try withFolder { folder, url in
      let (place, other) = (
        ClientCertificate(url.appendingPathComponent("c")), ClientCertificate(url.appendingPathComponent("d"))
      )
      let old = try folder.createClient("c", days: 1, in: place).serial
      #expect(try place.identity.certificate.serial == old)
      let new = try folder.createClient("c", days: 1, in: other).serial
      func copy(_ from: String, _ to: String) throws {
        let target = url.appendingPathComponent(to)
        try? FileManager.default.removeItem(at: target)
        try FileManager.default.copyItem(at: url.appendingPathComponent(from), to: target)
      }
      try copy("d/client.key", "c/client.key.new")
      #expect(try place.identity.certificate.serial == old)
      try copy("d/client.crt", "c/client.crt")
      #expect(try place.identity.certificate.serial == new)
      // The next enrolment does not overwrite the only key of the certificate, even if it fails.
      try place.draft(PrivateKey())
      #expect(try place.identity.certificate.serial == new)
      place.dropDraft()
      #expect(try place.identity.certificate.serial == new)
      #expect(try folder.createClient("c", days: 1, in: place).serial == place.identity.certificate.serial)
      let names = try FileManager.default.contentsOfDirectory(atPath: place.path).sorted()
      #expect(names == ["authority.crt", "client.crt", "client.key"])
    }
  }

  /// A new authority would invalidate all issued certificates.
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
      #expect(try folder.revocations.isEmpty)
      let now = Date(timeIntervalSince1970: 1_790_000_000)
      #expect(try folder.revoke("a", now: now).certificates == 2)
      #expect(
        try folder.revocations
          == serials.prefix(2).map { CertificateFolder.Revocation(serial: $0, name: "a", date: now) })
      #expect(folder.revocationStamp != stamp)
      #expect(try folder.revoke("a").certificates == 0)
      // A new certificate with the same name is valid.
      let new = try folder.createClient("a", days: 1, in: place)
      #expect(try !folder.revocations.map(\.serial).contains(new.serial))
      #expect(try folder.issued(revoked: folder.revocations).map(\.isRevoked) == [true, true, false, false])
    }
  }

  /// Each of these would admit every client if it were taken for an empty list.
  @Test func aListOfTheRevokedThatCannotBeReadIsNoEmptyOne() throws {
    try withFolder { folder, url in
      let list = url.appendingPathComponent("tls/revoked")
      let path = list.path
      func failure() -> String? {
        do {
          _ = try folder.revocations
          return nil
        } catch { return error.description }
      }
      // A line of an earlier version has no date.
      try Data("0A1B one\n".utf8).write(to: list)
      #expect(try folder.revocations == [.init(serial: "0A1B", name: "one", date: nil)])
      for (text, line) in [
        ("0A one\n0B\n", 2), ("0A one two\n", 1), ("0A one 1 2\n", 1), ("one 0A\n", 1), ("0A one -1\n", 1),
        ("0A one\n\u{0}\u{0}\u{0}\u{0}", 2),
      ] {
        try Data(text.utf8).write(to: list)
        #expect(
          failure()?.hasPrefix("\(path): line \(line) is invalid; ") == true,
          "\(text): \(failure() ?? "")")
        #expect(throws: CertificateError.self) { try folder.revoke("one") }
      }
      try FileManager.default.removeItem(at: list)
      #expect(failure()?.hasPrefix("\(path): there is no such file; ") == true)
      // Root can read everything except a folder.
      try FileManager.default.createDirectory(at: list, withIntermediateDirectories: false)
      #expect(failure()?.hasPrefix("\(path): Is a directory; ") == true)
    }
  }

  @Test func aListIsRestoredFromWhatIsLeftOfItAndFromItsCopy() throws {
    try withFolder { folder, url in
      let list = url.appendingPathComponent("tls/revoked")
      try Data("0A one 1790000000\ntorn\n0B two\n".utf8).write(to: list)
      let copy = [("0B", "two"), ("0C", "three")].map {
        CertificateFolder.Revocation(
          serial: $0.0, name: $0.1, date: Date(timeIntervalSince1970: 1_790_000_001))
      }
      let restored = try folder.restoreRevocations(copy)
      #expect(restored.list.map(\.serial) == ["0A", "0B", "0C"] && restored.omitted == 1)
      #expect(try folder.revocations == restored.list)
      try FileManager.default.removeItem(at: list)
      #expect(try folder.restoreRevocations(copy).list == copy)
      #expect(try folder.revocations == copy)
    }
  }

  /// The next line is separate, and the incomplete one is kept.
  @Test func aLineThatAPowerCutHasTornTakesNoOtherWithIt() throws {
    try withFolder { folder, url in
      let place = ClientCertificate(url.appendingPathComponent("c"))
      _ = try folder.createClient("a", days: 1, in: place)
      let issued = url.appendingPathComponent("tls/issued")
      let whole = try Data(contentsOf: issued)
      try whole.dropLast(9).write(to: issued)
      _ = try folder.createClient("b", days: 1, in: place)
      let lines = try String(contentsOf: issued, encoding: .utf8).split(separator: "\n")
      #expect(lines.count == 2 && lines[1].contains(" client b "), "\(lines)")
    }
  }

  /// The rules of OpenSSH and PostgreSQL.
  @Test(
    arguments: [(0o600, true), (0o400, true), (0o644, false), (0o604, false), (0o602, false)]
      as [(mode_t, Bool)])
  func aKeyThatOthersCanReadIsNotUsed(mode: mode_t, isUsed: Bool) throws {
    try withFolder { folder, url in
      _ = try folder.createServer("s", hosts: ["s"], days: 1)
      let place = ClientCertificate(url.appendingPathComponent("c"))
      _ = try folder.createClient("c", days: 1, in: place)
      for (name, use) in [
        ("tls/authority.key", { _ = try folder.authority }), ("tls/server.key", { _ = try folder.server }),
        ("c/client.key", { _ = try place.identity }),
      ] as [(String, () throws -> Void)] {
        let path = url.appendingPathComponent(name).path
        #expect(chmod(path, mode) == 0)
        guard !isUsed else {
          #expect(throws: Never.self) { try use() }
          continue
        }
        let error = #expect(throws: CertificateError.self) { try use() }
        #expect(
          error?.description
            == "\(path): other users may read this key (mode \(String(mode, radix: 8))), so it is not used: chmod 600 \(path)"
        )
      }
    }
  }

  /// A service may read root's key through its group, as under Kubernetes.
  @Test(.enabled(if: geteuid() == 0)) func aKeyOfRootsMayBeItsGroups() throws {
    try withFolder { folder, url in
      let path = url.appendingPathComponent("tls/authority.key").path
      #expect(chmod(path, 0o440) == 0)
      #expect(throws: Never.self) { try folder.authority }
      #expect(chown(path, 12345, 0) == 0)
      #expect(throws: CertificateError.self) { try folder.authority }
    }
  }

  /// Uses a file in place of an unreadable folder, since root can read every folder.
  @Test func whatCannotBeReadIsNotTakenForNothing() throws {
    try withFolder { folder, url in
      let codes = url.appendingPathComponent("tls/enrolments")
      _ = try folder.enrol("a")
      try FileManager.default.removeItem(at: codes)
      #expect(try folder.openCodes().isEmpty)
      try Data().write(to: codes)
      #expect(throws: CertificateError.self) { try folder.openCodes() }
      #expect(throws: CertificateError.self) { try folder.revoke("a") }
      let error = #expect(throws: CertificateError.self) { try folder.enrol("b") }
      #expect(error?.description.hasSuffix(": Not a directory") == true, "\(error!)")
    }
  }

  @Test func withoutAnAuthorityThereAreNoBooks() throws {
    try withTemporaryFolder { url in
      let folder = CertificateFolder(url.appendingPathComponent("none"))
      let path = url.appendingPathComponent("none/authority.crt").path
      for use in [
        { _ = try folder.issued(revoked: []) }, { _ = try folder.restoreRevocations([]) },
      ] as [() throws -> Void] {
        let error = #expect(throws: CertificateError.self) { try use() }
        #expect(error?.description == "\(path): there is no such file")
      }
      #expect(throws: CertificateError.self) { try folder.revoke("a") }
    }
  }

  @Test func aCodeIsGoodOnceForItsNameAndForTwoDays() throws {
    try withFolder { folder, _ in
      let now = Date()
      let code = try folder.enrol("device", now: now)
      #expect(try !redeem(folder, code.secret, for: "other", now))
      #expect(try !redeem(folder, "0000000000000000", for: "device", now))
      #expect(try redeem(folder, code.secret, for: "device", now))
      #expect(try !redeem(folder, code.secret, for: "device", now), "used")
      let late = try folder.enrol("device", now: now)
      #expect(try !redeem(folder, late.secret, for: "device", now.addingTimeInterval(48 * 3600 + 1)))
    }
  }

  /// Returns whether a certificate is issued for a code.
  private func redeem(
    _ folder: CertificateFolder, _ secret: String, for name: String, _ now: Date = Date()
  ) throws -> Bool {
    let request = try SigningRequest(name: name, key: try PrivateKey()).pem
    return try folder.issue(request, name: name, days: 1, for: secret, now: now) != nil
  }

  /// A device lost before its enrolment has only a code.
  @Test func revokingANameWithdrawsItsCodesAndNobodyElses() throws {
    try withFolder { folder, _ in
      let now = Date()
      let old = try folder.enrol("a", now: now.addingTimeInterval(-49 * 3600))
      let (first, second, other) = (try folder.enrol("a"), try folder.enrol("a"), try folder.enrol("b"))
      #expect(try folder.openCodes().map(\.name) == ["a", "a", "b"])
      let end = try #require(try folder.openCodes().first).expires
      #expect(abs(end.timeIntervalSince(now) - 48 * 3600) < 60)
      let revoked = try folder.revoke("a")
      #expect(revoked.codes == 2 && revoked.certificates == 0, "the third was not good any more")
      for code in [old, first, second] { #expect(try !redeem(folder, code.secret, for: "a")) }
      #expect(try folder.openCodes().map(\.name) == ["b"])
      #expect(try redeem(folder, other.secret, for: "b"))
      #expect(try folder.openCodes().isEmpty)
    }
  }

  @Test func theSecretItselfIsNotKept() throws {
    try withFolder { folder, url in
      let code = try folder.enrol("device")
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
      #expect(try !folder.canIssue)
      #expect(throws: CertificateError.self) { try folder.enrol("device") }
    }
  }

  /// A server that enrols devices and an operator's command write the same records.
  @Test func whoIssuesAtTheSameTimeLosesNoLine() throws {
    try withFolder { folder, _ in
      let key = try PrivateKey()
      let request = try SigningRequest(name: "device", key: key)
      DispatchQueue.concurrentPerform(iterations: 64) { number in
        _ = try? folder.issue(request, name: "device-\(number)", days: 1)
      }
      #expect(Set(try folder.issued(revoked: []).map(\.name)).count == 64)
    }
  }
}
