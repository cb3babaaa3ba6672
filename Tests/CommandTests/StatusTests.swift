import Foundation
import TestSupport
import Testing

/// `fedserver status` during and after a server's run.
@Suite(.unhurried) struct StatusTests {
  private func status(_ folder: URL, _ more: String...) async throws -> Command.Outcome {
    try await Command("fedserver", ["status", "--database", folder.path("strata.sqlite")] + more).outcome()
  }

  @Test func itSaysWhatTheServerWaitsForAndHowItEnded() async throws {
    try await withTemporaryFolder { folder in
      let server = try Command(
        "fedserver",
        [
          "run", try folder.plan(rounds: 1), "--listen", "127.0.0.1:0", "--database",
          folder.path("strata.sqlite"),
        ])
      let line = try await server.errors.line(containing: "waits for clients: 0 of 2")
      #expect(line.contains("stage 1 round 1"))
      let waiting = try await status(folder)
      #expect(waiting.output.contains("waits for clients: 0 of 2 are connected"), "\(waiting)")
      #expect(waiting.output.contains("\nwaits for 2 clients until "), "\(waiting)")
      let json = try await status(folder, "--json").output
      let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
      #expect(object?["phase"] as? String == "recruiting" && object?["running"] as? Bool == true, "\(json)")
      #expect(object?["until"] is String, "waiting has a limit: \(json)")
      // The status detects a server that was killed.
      server.cut()
      _ = try await server.outcome()
      #expect(try await status(folder).output.contains("the server does not run"))
    }
  }

  @Test func aStoppedServerIsSaidToBeStopped() async throws {
    try await withTemporaryFolder { folder in
      let server = try Command(
        "fedserver",
        [
          "run", try folder.plan(rounds: 1), "--listen", "127.0.0.1:0", "--database",
          folder.path("strata.sqlite"),
        ])
      _ = try await server.errors.line(containing: "waits for clients")
      server.terminate()
      #expect(try await server.outcome().code == 0)
      #expect(try await status(folder).output.contains("stopped; the job continues"))
    }
  }

  @Test func noDatabaseHasOneLine() async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await status(folder)
      #expect(outcome.code == 7 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
      #expect(!FileManager.default.fileExists(atPath: folder.path("strata.sqlite")), "it makes none")
    }
  }
}
