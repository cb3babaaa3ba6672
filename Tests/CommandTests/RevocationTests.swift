import Foundation
import TestSupport
import Testing

/// The list of revoked certificates, with the commands and the server as separate processes.
@Suite(.unhurried) struct RevocationTests {
  private func server(_ folder: URL, _ words: String...) async throws -> Command.Outcome {
    try await Command("fedserver", words + ["--tls", folder.path("tls")]).outcome()
  }

  private func prepare(_ folder: URL) async throws {
    #expect(try await server(folder, "certificate", "authority").code == 0)
    #expect(try await server(folder, "certificate", "server", "strata.example").code == 0)
  }

  private func run(_ folder: URL) throws -> Command {
    try Command(
      "fedserver",
      [
        "run", try folder.plan(), "--listen", "127.0.0.1:0", "--database", folder.path("strata.sqlite"),
        "--tls",
        folder.path("tls"),
      ])
  }

  /// A mistyped folder is not reported as a missing certificate.
  @Test(arguments: [
    ["certificate", "list"], ["certificate", "revoke", "one"], ["certificate", "restore"], ["enroll", "one"],
    ["certificate", "server", "a.example"], ["certificate", "client", "one", "--out", "OUT"],
  ])
  func aFolderWithoutAnAuthorityIsNamed(words: [String]) async throws {
    try await withTemporaryFolder { folder in
      let words = words.map { $0 == "OUT" ? folder.path("out") : $0 }
      let outcome = try await Command("fedserver", words + ["--tls", folder.path("wrong")]).outcome()
      #expect(outcome.code == 7 && outcome.output.isEmpty, "\(outcome)")
      #expect(
        outcome.errors == "fedserver: \(folder.path("wrong/authority.crt")): there is no such file\n",
        "\(outcome)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }
  }

  /// As in a folder from a version without the list.
  @Test func aServerWithoutTheListDoesNotStartUntilItIsRestored() async throws {
    try await withTemporaryFolder { folder in
      try await prepare(folder)
      #expect(try await server(folder, "certificate", "client", "one", "--out", folder.path("one")).code == 0)
      #expect(try await server(folder, "certificate", "revoke", "one").code == 0)
      let first = try run(folder)
      _ = try await first.errors.line(containing: "waits for clients")
      first.terminate()
      #expect(try await first.outcome().code == 0)
      let revoked = try Data(contentsOf: URL(fileURLWithPath: folder.path("tls/revoked")))
      try FileManager.default.removeItem(atPath: folder.path("tls/revoked"))
      for outcome in [try await run(folder).outcome(), try await server(folder, "certificate", "list")] {
        #expect(outcome.code == 7 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
        let line = "\(folder.path("tls/revoked")): there is no such file; "
        #expect(outcome.errors.contains(line) && outcome.errors.contains("certificate restore"), "\(outcome)")
      }
      // The server's database has a copy.
      let copy = ["--database", folder.path("strata.sqlite")]
      let restored = try await Command(
        "fedserver", ["certificate", "restore", "--tls", folder.path("tls")] + copy
      ).outcome()
      #expect(restored.code == 0 && restored.output.contains("  one  revoked on 20"), "\(restored)")
      #expect(restored.output.hasSuffix("revoked: 1\n"), "\(restored)")
      #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path("tls/revoked"))) == revoked)
      // An older list is restored: no revocation is undone, and a warning is logged.
      try Data().write(to: URL(fileURLWithPath: folder.path("tls/revoked")))
      let second = try run(folder)
      let line = try await second.errors.line(containing: "the list of revoked certificates lacks one (")
      #expect(line.contains(" error ") && line.contains("certificate restore --tls "), "\(line)")
      _ = try await second.errors.line(containing: "waits for clients")
      second.terminate()
      let stopped = try await second.outcome()
      #expect(stopped.code == 0, "\(stopped)")
      let list = try await Command("fedserver", ["certificate", "list", "--tls", folder.path("tls")] + copy)
        .outcome()
      #expect(list.output.contains("  client  one  revoked\n"), "\(list)")
      #expect(list.output.contains("missing in the list of revoked certificates  "), "\(list)")
    }
  }

  @Test func aKeyThatOthersCanReadIsNotUsed() async throws {
    try await withTemporaryFolder { folder in
      try await prepare(folder)
      let key = folder.path("tls/server.key")
      #expect(chmod(key, 0o644) == 0)
      let outcome = try await run(folder).outcome()
      #expect(outcome.code == 7 && outcome.lines.count == 1, "\(outcome)")
      #expect(outcome.errors.hasPrefix("fedserver: \(key): other users may read this key"), "\(outcome)")
      #expect(!FileManager.default.fileExists(atPath: folder.path("strata.sqlite")))
    }
  }
}
