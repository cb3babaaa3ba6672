import Foundation
import TestSupport
import Testing

/// A client's files, and errors in writing them.
@Suite(.unhurried) struct StateFolderTests {
  /// Returns a command that is subject to permissions, even if root runs the test.
  private func bound(_ name: String, _ words: [String]) throws -> Command {
    guard geteuid() == 0 else { return try Command(name, words) }
    let path = Command.folder.appendingPathComponent(name).path
    return try Command(
      "/usr/bin/setpriv", ["--bounding-set=-dac_override,-dac_read_search,-fowner", path] + words)
  }

  private func run(_ state: String, _ more: String...) -> [String] {
    [
      "run", "--server", "127.0.0.1:1", "--name", "one", "--data", "shapes:16", "--state", state,
      "--patience", "1h",
    ] + more
  }

  /// Each would use the other's layers and updates, and report the error as the server's.
  @Test func twoClientsInOneFolderAreToldSo() async throws {
    try await withTemporaryFolder { folder in
      let state = folder.path("state")
      let first = try Command("fedclient", run(state))
      _ = try await first.errors.line(containing: "disconnected")
      let second = try await Command("fedclient", run(state)).outcome()
      #expect(second.code == 7, "\(second)")
      #expect(
        second.errors
          == "fedclient: \(state): another client uses this folder, process \(first.process); give each client its own --state\n",
        "\(second)")
      first.cut()
      _ = try await first.outcome()
      // The lock ends with the process, however that ends.
      let third = try Command("fedclient", run(state))
      _ = try await third.errors.line(containing: "disconnected")
      third.terminate()
      let outcome = try await third.outcome()
      #expect(outcome.code == 0, "\(outcome)")
    }
  }

  @Test(arguments: ["state", "state/layers"]) func aFolderThatCannotBeWrittenIsNamedAtTheStart(name: String)
    async throws
  {
    try await withTemporaryFolder { folder in
      let state = folder.path("state")
      try FileManager.default.createDirectory(atPath: state + "/layers", withIntermediateDirectories: true)
      // A lock file from an earlier run.
      try Data().write(to: URL(fileURLWithPath: state + "/lock"))
      #expect(chmod(folder.path(name), 0o500) == 0)
      let outcome = try await bound("fedclient", run(state)).outcome()
      #expect(chmod(folder.path(name), 0o700) == 0)
      #expect(outcome.code == 7, "\(outcome)")
      #expect(outcome.errors == "fedclient: \(folder.path(name)): Permission denied\n", "\(outcome)")
    }
  }

  @Test func anEnrolmentThatCannotBeKeptNamesTheCause() async throws {
    try await withTemporaryFolder { folder in
      #expect(
        try await Command.run("fedserver", "certificate", "authority", "--tls", folder.path("tls")).code == 0)
      let code = try await Command.run("fedserver", "enroll", "one", "--tls", folder.path("tls")).output
      let own = folder.path("state/tls")
      try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
      #expect(chmod(own, 0o500) == 0)
      func enrol() async throws -> Command.Outcome {
        try await bound(
          "fedclient",
          ["enroll", "--server", "127.0.0.1:1", "--state", folder.path("state"), "\r\n \(code)\r\n"]
        ).outcome()
      }
      let outcome = try await enrol()
      #expect(outcome.code == 7, "\(outcome)")
      #expect(outcome.errors == "fedclient: \(own)/client.key.new: Permission denied\n", "\(outcome)")
      #expect(chmod(own, 0o700) == 0)
      // The code was valid; the next step fails.
      #expect(try await enrol().code == 5)
    }
  }

  /// The message does not claim that this device must enrol.
  @Test func aCertificateThatCannotBeLookedAtIsNamed() async throws {
    try await withTemporaryFolder { folder in
      let own = folder.path("state/tls")
      try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
      #expect(chmod(own, 0) == 0)
      let remote = ["run", "--server", "192.0.2.1:7400", "--name", "one", "--data", "shapes:16"]
      let hidden = try await bound("fedclient", remote + ["--state", folder.path("state")]).outcome()
      #expect(
        hidden.errors == "fedclient: \(own)/client.crt: Permission denied\n" && hidden.code == 7, "\(hidden)")
      let named = try await bound("fedclient", remote + ["--state", folder.path("other"), "--tls", own])
        .outcome()
      #expect(
        named.errors == "fedclient: \(own)/client.crt: Permission denied\n" && named.code == 7, "\(named)")
      let server = try await bound(
        "fedserver",
        ["run", try folder.plan(), "--database", folder.path("db"), "--listen", "127.0.0.1:0", "--tls", own]
      ).outcome()
      #expect(
        server.errors == "fedserver: \(own)/server.crt: Permission denied\n" && server.code == 7, "\(server)")
      let code = try await bound("fedserver", ["enroll", "one", "--tls", own]).outcome()
      #expect(
        code.errors == "fedserver: \(own)/authority.crt: Permission denied\n" && code.code == 7, "\(code)")
      #expect(chmod(own, 0o700) == 0)
    }
  }
}
