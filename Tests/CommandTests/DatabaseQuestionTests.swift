import Foundation
import TestSupport
import Testing

/// Queries of a server's database: before, during and after the server's run, and without a database.
@Suite(.unhurried) struct DatabaseQuestionTests {
  static let commands = ["status", "rounds", "clients", "export", "report"]

  private func ask(_ command: String, _ database: String, _ folder: URL) async throws -> Command.Outcome {
    let more = [
      "export": ["--format", "onnx", "--out", folder.path("encoder.onnx"), "--json"],
      "report": ["--out", folder.path("report.html")],
    ]
    let words = [command, "--database", database] + (more[command] ?? ["--json"])
    return try await Command("fedserver", words).outcome()
  }

  @Test(arguments: commands) func whatIsNoDatabaseHasOneLine(command: String) async throws {
    try await withTemporaryFolder { folder in
      try Data("this is no database".utf8).write(to: folder.appendingPathComponent("text"))
      try Data().write(to: folder.appendingPathComponent("empty"))
      try FileManager.default.createDirectory(
        at: folder.appendingPathComponent("folder"), withIntermediateDirectories: false)
      for (name, problem) in [
        ("missing", "there is no such file"), ("text", "file is not a database"),
        ("folder", "it is a folder"),
        ("empty", "no server has run on it yet"),
      ] {
        let outcome = try await ask(command, folder.path(name), folder)
        #expect(outcome.code == 7 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.contains("\(folder.path(name)): \(problem)"), "\(outcome.errors)")
      }
      let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
      #expect(left == ["empty", "folder", "text"], "nothing is made")
    }
  }

  @Test func answersWhileTheServerWritesAndWhenItIsDone() async throws {
    try await withTemporaryFolder { folder in
      let database = folder.path("strata.sqlite")
      let server = try Command(
        "fedserver",
        ["run", try folder.plan(rounds: 4), "--listen", "127.0.0.1:0", "--database", database])
      _ = try await server.errors.line(containing: "waits for clients")
      for command in Self.commands where command != "export" {
        let outcome = try await ask(command, database, folder)
        #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(command): \(outcome)")
      }
      let early = try await ask("export", database, folder)
      #expect(early.code == 7 && early.lines.count == 1 && early.output.isEmpty, "\(early)")
      let line = try await server.errors.line(containing: "listening on ")
      let address = String(try #require(line.split(separator: " ").last))
      let clients = try ["one", "two"].map { name in
        try Command(
          "fedclient",
          [
            "run", "--server", address, "--name", name, "--data", "shapes:32", "--state", folder.path(name),
            "--threads", "1", "--patience", Unhurried.patience,
          ])
      }
      // During the run of a server that commits, and after its end.
      _ = try await server.errors.line(containing: "round 1 is committed")
      for command in Self.commands {
        let outcome = try await ask(command, database, folder)
        #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(command): \(outcome)")
      }
      for client in clients { #expect(try await client.outcome().code == 0) }
      #expect(try await server.outcome().code == 0)
      for command in Self.commands {
        let outcome = try await ask(command, database, folder)
        #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(command): \(outcome)")
        guard command != "report" else { continue }
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) }
      }
      let listed = try await ask("clients", database, folder).output
      #expect(listed.contains("\"lastContact\"") && !listed.contains("isConnected"), "nobody was asked")
      let written = try await ask("export", database, folder).output
      let object = try JSONSerialization.jsonObject(with: Data(written.utf8)) as? [String: Any]
      #expect(object?["stage"] as? Int == 2 && object?["round"] as? Int == 4, "\(written)")
    }
  }

  /// The status of a failed job without clients: the reason, the next step and the attempts.
  @Test func aJobThatWasGivenUpSaysWhy() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan()
      let text = try String(contentsOfFile: plan, encoding: .utf8).replacing(
        "quorum: 2", with: "quorum: 2, deadline: 200ms, timeout: 400ms, attempts: 2")
      try Data(text.utf8).write(to: URL(fileURLWithPath: plan))
      let database = folder.path("strata.sqlite")
      let server = try await Command.run(
        "fedserver", "run", plan, "--listen", "127.0.0.1:0", "--database", database)
      #expect(server.code == 8, "\(server)")
      let waits = server.lines.filter { $0.contains("waits for clients") }.map { $0.drop { $0 != " " } }
      #expect(!waits.isEmpty && Set(waits).count == waits.count, "a line is there twice: \(waits)")

      let reason = "only 0 clients connected in time for a quorum of 2"
      let status = try await Command.run("fedserver", "status", "--database", database).output
      #expect(status.contains("the job was given up\nthe last attempt was abandoned: \(reason)"), "\(status)")
      #expect(status.contains("start the server again to continue"), "\(status)")
      let json = try await ask("status", database, folder).output
      let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
      #expect((object?["reason"] as? String)?.hasPrefix(reason) == true, "\(json)")

      #expect(try await ask("rounds", database, folder).output == "[\n\n]\n")
      let all = try await Command.run("fedserver", "rounds", "--database", database, "--all", "--json").output
      let attempts = try #require(try JSONSerialization.jsonObject(with: Data(all.utf8)) as? [[String: Any]])
      #expect(attempts.map { $0["attempt"] as? Int } == [1, 2], "\(all)")
      #expect(attempts.allSatisfy { $0["outcome"] as? String == "abandoned" }, "\(all)")
      let table = try await Command.run("fedserver", "rounds", "--database", database, "--all").output
      #expect(table.split(separator: "\n").count == 3 && table.contains("abandoned  \(reason)"), "\(table)")
    }
  }
}
