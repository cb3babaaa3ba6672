import Foundation
import TestSupport
import Testing

/// Certificates, enrolment and TLS between real processes.
@Suite(.unhurried) struct TLSCommandTests {
  private func server(_ folder: URL, _ words: String...) async throws -> Command.Outcome {
    try await Command("fedserver", words + ["--tls", folder.path("tls")]).outcome()
  }

  private func start(_ folder: URL, _ name: String, _ address: String) throws -> Command {
    try Command(
      "fedclient",
      [
        "run", "--server", address, "--name", name, "--data", "shapes:32", "--state", folder.path(name),
        "--threads", "1", "--patience", Unhurried.patience,
      ])
  }

  @Test func aFederationFromNothingUnderTLS() async throws {
    try await withTemporaryFolder { folder in
      #expect(try await server(folder, "certificate", "authority", "Test").code == 0)
      #expect(try await server(folder, "certificate", "server", "strata.example").code == 0)
      let code = try await server(folder, "enroll", "one").output.trimmingCharacters(in: .newlines)
      let made = try await server(folder, "certificate", "client", "two", "--out", folder.path("two/tls"))
      #expect(made.code == 0, "\(made)")
      let daemon = try Command(
        "fedserver",
        [
          "run", try folder.plan(rounds: 1), "--listen", "127.0.0.1:0", "--database",
          folder.path("strata.sqlite"), "--tls", folder.path("tls"),
        ])
      let line = try await daemon.errors.line(containing: "listening on ")
      let address = String(try #require(line.split(separator: " ").last))
      func enrol() async throws -> Command.Outcome {
        try await Command.run(
          "fedclient", "enroll", "--server", address, "--state", folder.path("one"), code)
      }
      let enrolled = try await enrol()
      #expect(enrolled.code == 0 && enrolled.output.contains("one is enrolled"), "\(enrolled)")
      let again = try await enrol()
      #expect(again.code == 6 && again.lines.count == 1, "\(again)")
      let clients = try ["one", "two"].map { try start(folder, $0, address) }
      for client in clients { #expect(try await client.outcome().code == 0) }
      #expect(try await daemon.outcome().code == 0)
      // The server's files are private.
      let mode = try FileManager.default.attributesOfItem(atPath: folder.path("strata.sqlite"))
      #expect((mode[.posixPermissions] as? Int ?? 0o777) & 0o077 == 0)
      let revoked = try await server(folder, "certificate", "revoke", "one")
      #expect(revoked.code == 0 && revoked.output == "1 certificate of one revoked\n", "\(revoked)")
      let list = try await server(folder, "certificate", "list").output.split(separator: "\n")
      #expect(list.count == 3 && list.count { $0.hasSuffix("one  revoked") } == 1, "\(list)")
    }
  }

  @Test func aCodeThatWasNotUsedIsListedAndRevoked() async throws {
    try await withTemporaryFolder { folder in
      #expect(try await server(folder, "certificate", "authority").code == 0)
      #expect(try await server(folder, "enroll", "lost").code == 0)
      let list = try await server(folder, "certificate", "list")
      #expect(
        list.output.contains(/unused code  lost  valid until \d{4}-\d\d-\d\d \d\d:\d\d UTC\n/), "\(list)")
      let revoked = try await server(folder, "certificate", "revoke", "lost")
      #expect(revoked.code == 0 && revoked.output == "1 unused code of lost revoked\n", "\(revoked)")
      #expect(try await server(folder, "certificate", "list").output.isEmpty)
      let again = try await server(folder, "certificate", "revoke", "lost")
      #expect(again.code == 7 && again.lines.count == 1, "\(again)")
    }
  }

  /// Errors that only the device can detect, and a server that it could not reach afterwards.
  @Test func aCodeOutlivesAnEnrolmentThatCouldNotBeKept() async throws {
    try await withTemporaryFolder { folder in
      #expect(try await server(folder, "certificate", "authority").code == 0)
      #expect(try await server(folder, "certificate", "server", "strata.example").code == 0)
      let code = try await server(folder, "enroll", "one").output.trimmingCharacters(in: .newlines)
      let daemon = try Command(
        "fedserver",
        [
          "run", try folder.plan(rounds: 1), "--listen", "0.0.0.0:0", "--database",
          folder.path("strata.sqlite"), "--tls", folder.path("tls"),
        ])
      defer { daemon.cut() }
      let line = try await daemon.errors.line(containing: "listening on ")
      let port = try #require(line.split(separator: ":").last)
      func enrol(_ host: String, _ state: String) async throws -> Command.Outcome {
        try await Command.run("fedclient", "enroll", "--server", "\(host):\(port)", "--state", state, code)
      }
      // Root may write everywhere except below a file.
      let file = folder.path("strata.sqlite")
      let unwritable = try await enrol("127.0.0.1", "\(file)/state")
      #expect(unwritable.code == 7, "\(unwritable)")
      #expect(unwritable.errors == "fedclient: \(file)/state: Not a directory\n", "\(unwritable)")
      let elsewhere = try await enrol("127.0.0.2", folder.path("one"))
      #expect(elsewhere.code == 5 && elsewhere.lines.count == 1, "\(elsewhere)")
      #expect(
        elsewhere.errors.hasPrefix(
          "fedclient: the server's certificate is for strata.example, localhost, 127.0.0.1, ::1, not for 127.0.0.2"
        ), "\(elsewhere)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("one/tls")).isEmpty)
      #expect(try await enrol("127.0.0.1", folder.path("one")).code == 0)
    }
  }

  @Test func withoutTLSNothingLeavesTheMachine() async throws {
    try await withTemporaryFolder { folder in
      let open = try await Command.run(
        "fedserver", "run", try folder.plan(rounds: 1), "--listen", "0.0.0.0:0", "--database",
        folder.path("strata.sqlite"))
      #expect(open.code == 64 && open.lines.count == 1 && open.errors.contains("--insecure"), "\(open)")
      let client = try await Command.run(
        "fedclient", "run", "--server", "192.0.2.1:7400", "--name", "a", "--data", "shapes:32", "--state",
        folder.path("a"))
      #expect(client.code == 64 && client.lines.count == 1 && client.errors.contains("enroll"), "\(client)")
    }
  }

  @Test func mistakesHaveOneLineEach() async throws {
    try await withTemporaryFolder { folder in
      let none = try await server(folder, "certificate", "server", "a.example")
      #expect(none.code == 7 && none.errors.contains("tls/authority.crt: there is no such file"), "\(none)")
      #expect(try await server(folder, "certificate", "authority").code == 0)
      let twice = try await server(folder, "certificate", "authority")
      #expect(twice.code == 7 && twice.lines.count == 1, "\(twice)")
      let unknown = try await server(folder, "certificate", "revoke", "nobody")
      #expect(
        unknown.code == 7 && unknown.errors.contains("nobody has no unrevoked certificate"), "\(unknown)")
      let code = try await Command.run("fedclient", "enroll", "--server", "127.0.0.1:1", "nonsense")
      #expect(code.code == 64 && code.lines.count == 1, "\(code)")
      let missing = try await Command.run(
        "fedserver", "run", try folder.plan(rounds: 1), "--listen", "127.0.0.1:0", "--database",
        folder.path("strata.sqlite"), "--tls", folder.path("elsewhere"))
      #expect(missing.code == 7 && missing.lines.count == 1, "\(missing)")
    }
  }
}
