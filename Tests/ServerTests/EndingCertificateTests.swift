import Certificates
import Federation
import Foundation
import Server
import TestSupport
import Testing

/// A server whose certificates expire.
@Suite(.unhurried) struct EndingCertificateTests {
  /// Returns the server's reports on its certificates at the start.
  private func said(authority: Int, server: Int) async throws -> [String] {
    try await withTemporaryFolder { url in
      let folder = CertificateFolder(url.appendingPathComponent("tls"))
      _ = try folder.createAuthority("test", days: authority)
      _ = try folder.createServer("device", hosts: ["device", "192.0.2.10", "localhost"], days: server)
      let events = EventLog<ServerEvent>()
      let access = try Access(folder, observer: events.note)
      let watching = Task { await access.watchEndings() }
      // Does not wait for the next day's report.
      watching.cancel()
      await watching.value
      return events.all.compactMap { event -> String? in
        guard case .ending(let certificate) = event else { return nil }
        return certificate.description.replacing(folder.path, with: "DIR")
      }
    }
  }

  private func day(_ days: Int) -> String { Date(timeIntervalSinceNow: Double(days) * 86_400).day }

  @Test func whatIsValidForLongIsNotSpokenOf() async throws {
    #expect(try await said(authority: 400, server: 40).isEmpty)
  }

  @Test func theServersIsNamedWithTheCommandThatRenewsIt() async throws {
    let renewal = "renew it: fedserver certificate server device --host 192.0.2.10 --tls DIR"
    let ending = try await said(authority: 400, server: 20)
    #expect(ending == ["this server's certificate expires in 19 days, on \(day(20)); \(renewal)"])
    let ended = try await said(authority: 400, server: -2)
    #expect(
      ended == ["this server's certificate expired on \(day(-2)), and no device can connect; \(renewal)"])
  }

  @Test func theAuthoritysIsNamed() async throws {
    let ending = try await said(authority: 5, server: 100)
    #expect(ending.count == 1)
    #expect(ending.first?.hasPrefix("the authority's certificate expires in 4 days, on \(day(5))") == true)
  }

  @Test func aServerSaysSoWhenItStarts() async throws {
    try await withTemporaryFolder { url in
      let folder = CertificateFolder(url.appendingPathComponent("tls"))
      _ = try folder.createAuthority("test", days: 400)
      _ = try folder.createServer("device", hosts: ["127.0.0.1"], days: 2)
      let events = EventLog<ServerEvent>()
      let access = try Access(folder, observer: events.note)
      let path = url.appendingPathComponent("strata.sqlite").path
      try await withServer(Plan.tiny(cohort: 1), path, access: access) { _ in
        let days = try await events.first { event -> Int? in
          if case .ending(let certificate) = event { certificate.days } else { nil }
        }
        #expect(days == 1)
      }
    }
  }
}
