import Foundation
import GRDB
import TestSupport
import Testing

/// The commands that read a database, with databases of a real server that were changed afterwards.
@Suite(.unhurried) struct DamagedDatabaseCommandTests {
  private func ask(_ command: [String], _ database: String, _ folder: URL) async throws -> Command.Outcome {
    let more = [
      "export": ["--format", "safetensors", "--out", folder.path("encoder.safetensors")],
      "report": ["--out", folder.path("report.html")],
    ]
    return try await Command(
      "fedserver", [command[0], "--database", database] + command.dropFirst() + (more[command[0]] ?? [])
    ).outcome()
  }

  private static let commands = [
    ["status"], ["status", "--json"], ["rounds"], ["rounds", "--json"], ["rounds", "--all"],
    ["rounds", "--all", "--json"], ["clients"], ["clients", "--json"], ["export"], ["report"],
  ]

  /// Creates the database of a finished job of a server and a client. Returns its path.
  private func makeDatabase(_ folder: URL) async throws -> String {
    let database = folder.path("strata.sqlite")
    let server = try Command(
      "fedserver",
      ["run", try folder.plan(clients: 1), "--listen", "127.0.0.1:0", "--database", database])
    let line = try await server.errors.line(containing: "listening on ")
    let client = try await Command.run(
      "fedclient", "run", "--server", String(try #require(line.split(separator: " ").last)), "--name",
      "device-1",
      "--data", "shapes:32", "--state", folder.path("state"), "--threads", "1")
    #expect(client.code == 0, "\(client)")
    #expect(try await server.outcome().code == 0)
    return database
  }

  /// Each database is read or rejected in a line, and foreign text is escaped.
  @Test func everyCommandAnswersOrRejects() async throws {
    try await withTemporaryFolder { folder in
      let database = try await makeDatabase(folder)
      let changes: [(sql: String, isRejected: Bool?)] = [
        ("UPDATE rounds SET seconds = 1e308", false), ("UPDATE metrics SET value = 3e38", false),
        ("UPDATE metrics SET value = -9e999", false), ("UPDATE metrics SET value = 5e-324", false),
        ("UPDATE rounds SET waited = 9e999, samples = 9223372036854775807", false),
        ("UPDATE metrics SET layer = char(27) || '[2J' || char(10)", false),
        ("UPDATE metrics SET name = name || char(27)", false), ("DROP TABLE metrics", false),
        ("UPDATE clients SET bytesUp = 9223372036854775807, samples = -9223372036854775808", false),
        ("UPDATE clients SET software = char(27) || '[2J' || char(10) || 'forged'", false),
        ("UPDATE metrics SET value = 'high'", nil), ("UPDATE rounds SET number = x'00'", nil),
        ("UPDATE clients SET lastSeen = '2147483647-0-0 0:0:0.00'", nil),
        ("UPDATE rounds SET reason = CAST(zeroblob(30000000) AS TEXT)", nil),
        ("UPDATE status SET status = replace(status, '\"since\":', '\"since\":1e308,\"x\":')", false),
        ("UPDATE status SET status = '{'", nil), ("UPDATE jobs SET plan = 'name: [x'", nil),
        ("UPDATE weights SET bytes = 'text'", nil), ("DROP TABLE updates", nil),
        ("UPDATE grdb_migrations SET identifier = '99 later' WHERE rowid = 1", true),
      ]
      for (index, change) in changes.enumerated() {
        let copy = folder.path("\(index).sqlite")
        try FileManager.default.copyItem(atPath: database, toPath: copy)
        try await DatabaseQueue(path: copy).write { try $0.execute(sql: change.sql) }
        for command in Self.commands {
          let outcome = try await ask(command, copy, folder)
          let place = Comment(rawValue: "\(change.sql): \(command): \(outcome)")
          #expect(outcome.code == 0 || outcome.code == 7, place)
          if let isRejected = change.isRejected { #expect((outcome.code == 7) == isRejected, place) }
          #expect(outcome.lines.count == (outcome.code == 7 ? 1 : 0), place)
          #expect(outcome.code == 0 || outcome.output.isEmpty, place)
          #expect(!(outcome.output + outcome.errors).contains("\u{1B}"), place)
          if command.contains("--json"), outcome.code == 0 {
            #expect(throws: Never.self, place) {
              try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
            }
          }
        }
      }
    }
  }

  /// Another application's SQLite database is not a job, and is not written to.
  @Test func anotherApplicationsDatabaseIsNoJob() async throws {
    try await withTemporaryFolder { folder in
      let tables = [
        "CREATE TABLE bookmarks (url TEXT)", "CREATE TABLE jobs (id INTEGER, title TEXT)",
        "CREATE TABLE status (id INTEGER)", "CREATE TABLE status (status TEXT)",
        "CREATE TABLE status (status TEXT); INSERT INTO status VALUES (7)",
      ]
      for (index, sql) in tables.enumerated() {
        let path = folder.path("\(index).sqlite")
        try await DatabaseQueue(path: path).write { try $0.execute(sql: sql) }
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        for command in Self.commands {
          let outcome = try await ask(command, path, folder)
          #expect(
            outcome.code == 7 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(sql): \(outcome)")
          #expect(outcome.errors.contains(path), "\(outcome.errors)")
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
      }
    }
  }

  /// Truncated to each number of eighths, as by an interrupted copy.
  @Test func aDatabaseThatIsCutOffIsRejected() async throws {
    try await withTemporaryFolder { folder in
      let database = try await makeDatabase(folder)
      let bytes = try Data(contentsOf: URL(fileURLWithPath: database))
      for part in 0..<8 {
        let path = folder.path("cut-\(part).sqlite")
        try bytes.prefix(bytes.count * part / 8).write(to: URL(fileURLWithPath: path))
        for command in Self.commands {
          let outcome = try await ask(command, path, folder)
          let place = Comment(rawValue: "\(part) eighths: \(command): \(outcome)")
          #expect(outcome.code == 0 || outcome.code == 7, place)
          #expect(outcome.lines.count == (outcome.code == 7 ? 1 : 0), place)
          #expect(part > 0 || outcome.code == 7, place)
        }
      }
    }
  }
}
