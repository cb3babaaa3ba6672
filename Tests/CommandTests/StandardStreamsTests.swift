import Foundation
import TestSupport
import Testing

/// Commands whose output is closed, full, abandoned or stuck: they do their work, end with their exit code, and report
/// that they could not write a result.
@Suite(.unhurried) struct StandardStreamsTests {
  private typealias Stream = Command.Stream

  /// A database with a finished job, and the plan of the job.
  private func withJob(_ body: (_ database: String, _ plan: String, _ folder: URL) async throws -> Void)
    async throws
  {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan()
      let run = try await Command.run(
        "fedsim", "run", plan, "--clients", "2", "--data", "shapes:64", "--out", folder.path("run"))
      #expect(run.code == 0, "\(run)")
      try await body(folder.path("run/strata.sqlite"), plan, folder)
    }
  }

  private func reports(_ database: String, _ plan: String, _ folder: URL) -> [(String, [String])] {
    let question = ["--database", database]
    return [
      ("fedserver", ["rounds"] + question), ("fedserver", ["rounds", "--all", "--json"] + question),
      ("fedserver", ["clients"] + question), ("fedserver", ["clients", "--json"] + question),
      ("fedserver", ["status"] + question), ("fedserver", ["status", "--json"] + question),
      ("fedserver", ["report", "--out", folder.path("page.html")] + question),
      ("fedserver", ["export", "--format", "onnx", "--out", folder.path("encoder.onnx")] + question),
      ("fedserver", ["--help"]), ("fedclient", ["run", "--help"]), ("fedsim", ["--version"]),
      ("fedsim", ["account", plan, "--images", "100"]),
      ("fedsim", ["account", plan, "--images", "100", "--json"]),
      ("fedsim", ["traffic", plan]), ("fedsim", ["traffic", plan, "--json"]),
      ("fedsim", ["memory", plan, "--stage", "1"]), ("fedsim", ["check", "--seeds", "1..2"]),
      ("fedclient", ["check", "--data", "shapes:20", "--json"]),
    ]
  }

  @Test func aResultThatCannotBeWrittenIsAFailure() async throws {
    try await withJob { database, plan, folder in
      for (command, words) in reports(database, plan, folder) {
        let call = "\(command) \(words)"
        for (stream, reason) in [(Stream.full, "No space left on device"), (.closed, "Bad file descriptor")] {
          let outcome = try await Command(command, words, output: stream).outcome()
          #expect(outcome.code == 7, "\(call): \(outcome)")
          #expect(outcome.errors == "\(command): standard output: \(reason)\n", "\(call)")
        }
        let outcome = try await Command(command, words, output: .abandoned).outcome()
        #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(call): \(outcome)")
      }
    }
  }

  /// The result is written, whatever happens to the other stream.
  @Test(arguments: Command.Stream.broken) func aResultNeedsNoStandardError(errors: Command.Stream)
    async throws
  {
    try await withJob { database, plan, folder in
      for (command, words) in reports(database, plan, folder) {
        let outcome = try await Command(command, words, errors: errors).outcome()
        #expect(outcome.code == 0 && !outcome.output.isEmpty, "\(command) \(words): \(outcome)")
      }
    }
  }

  @Test(arguments: Command.Stream.broken) func failuresKeepTheirCodes(errors: Command.Stream) async throws {
    try await withTemporaryFolder { folder in
      let missing = folder.path("missing")
      let calls: [(Int32, String, [String])] = [
        (64, "fedserver", ["run", "--nonsense"]), (64, "fedclient", ["check"]),
        (2, "fedserver", ["run", missing, "--database", folder.path("db")]),
        (3, "fedclient", ["check", "--data", "folder:\(missing)"]),
        (
          5, "fedclient",
          [
            "enroll", "--server", "127.0.0.1:1", "--state", folder.path("state"),
            "device.000000-000000-000000-000000-000000-000000-000000",
          ]
        ),
        (7, "fedserver", ["rounds", "--database", missing]),
        (2, "fedsim", ["run", missing, "--data", "shapes:64", "--out", folder.path("out")]),
      ]
      for (code, command, words) in calls {
        for output in [Stream.read, errors] where output != .stuck {
          let outcome = try await Command(command, words, output: output, errors: errors).outcome()
          #expect(outcome.code == code, "\(command) \(words): \(outcome)")
        }
      }
    }
  }

  /// A run's result is in its folder; only its table cannot be written.
  @Test(arguments: Command.Stream.broken) func aRunGoesOn(stream: Command.Stream) async throws {
    try await withTemporaryFolder { folder in
      let words = [
        "run", try folder.plan(rounds: 2), "--clients", "2", "--data", "shapes:64", "--out",
        folder.path("out"),
      ]
      let silent = try await Command("fedsim", words, errors: stream).outcome()
      #expect(silent.code == 0 && silent.output.contains("report "), "\(silent)")
      #expect(FileManager.default.fileExists(atPath: folder.path("out/summary.json")))
      guard stream != .stuck else { return }
      let unread = try await Command("fedsim", words + ["--overwrite", "--json"], output: stream).outcome()
      #expect(unread.code == (stream == .abandoned ? 0 : 7), "\(unread)")
      #expect(FileManager.default.fileExists(atPath: folder.path("out/summary.json")))
    }
  }

  /// As with `| head -1`, and with `| tee` on Ctrl-C.
  @Test func aReaderThatGoesAwayTakesNoRunWithIt() async throws {
    try await withTemporaryFolder { folder in
      let run = "run \(try folder.plan(rounds: 20)) --clients 2 --data shapes:64 --out \(folder.path("out"))"
      let fedsim = Command.folder.path("fedsim")
      let script = "set -o pipefail; \(fedsim) \(run) 2>&1 | head -1"
      let outcome = try await Command("/bin/bash", ["-c", script]).outcome()
      #expect(outcome.code == 0 && outcome.output.split(separator: "\n").count == 1, "\(outcome)")
      #expect(FileManager.default.fileExists(atPath: folder.path("out/summary.json")))
    }
  }

  private func server(_ folder: URL, rounds: Int, _ listen: String, _ stream: Stream) throws -> Command {
    try Command(
      "fedserver",
      [
        "run", try folder.plan(rounds: rounds), "--listen", listen, "--database",
        folder.path("strata.sqlite"),
      ],
      output: stream, errors: stream)
  }

  private func client(_ folder: URL, _ name: String, _ address: String, _ stream: Stream) throws -> Command {
    try Command(
      "fedclient",
      [
        "run", "--server", address, "--name", name, "--data", "shapes:32", "--state", folder.path(name),
        "--threads", "1", "--patience", "20s",
      ], output: stream, errors: stream)
  }

  private func listening(_ server: Command) async throws -> String {
    String(try #require(try await server.errors.line(containing: "listening on ").split(separator: " ").last))
  }

  /// Returns an address that was free a moment ago, for a server that cannot report its port.
  private func address(_ folder: URL) async throws -> String {
    let server = try server(folder, rounds: 1, "127.0.0.1:0", .read)
    let address = try await listening(server)
    server.terminate()
    #expect(try await server.outcome().code == 0)
    try FileManager.default.removeItem(atPath: folder.path("strata.sqlite"))
    return address
  }

  private func committed(_ folder: URL) async throws -> Int {
    let rounds = try await Command.run(
      "fedserver", "rounds", "--json", "--database", folder.path("strata.sqlite"))
    return (try JSONSerialization.jsonObject(with: Data(rounds.output.utf8)) as? [Any])?.count ?? 0
  }

  @Test(arguments: Command.Stream.broken) func daemonsFinishTheirJob(stream: Command.Stream) async throws {
    try await withTemporaryFolder { folder in
      let address = try await address(folder)
      let server = try server(folder, rounds: 2, address, stream)
      let clients = try ["one", "two"].map { try client(folder, $0, address, stream) }
      for client in clients { #expect(try await client.outcome().code == 0) }
      #expect(try await server.outcome().code == 0)
      #expect(try await committed(folder) == 4)
    }
  }

  /// However many unread lines there are.
  @Test(arguments: Command.Stream.broken) func daemonsStopInGoodOrder(stream: Command.Stream) async throws {
    try await withTemporaryFolder { folder in
      let address = try await address(folder)
      let server = try server(folder, rounds: 10_000, address, stream)
      let quiet = try client(folder, "one", address, stream)
      let other = try client(folder, "two", address, .read)
      _ = try await other.errors.line(containing: "stage 1 round 3: the update is admitted")
      quiet.terminate()
      #expect(try await quiet.outcome().code == 0)
      server.terminate()
      #expect(try await server.outcome().code == 0)
      other.terminate()
      #expect(try await other.outcome().code == 0)
      #expect(try await committed(folder) >= 2)
    }
  }

  /// The terminal of a daemon in the foreground is closed.
  @Test func daemonsStopInGoodOrderWithTheirTerminal() async throws {
    try await withTemporaryFolder { folder in
      let server = try server(folder, rounds: 10_000, "127.0.0.1:0", .read)
      let client = try client(folder, "one", try await listening(server), .read)
      _ = try await client.errors.line(containing: "joined the job")
      for daemon in [client, server] {
        kill(daemon.process, SIGHUP)
        let outcome = try await daemon.outcome()
        #expect(outcome.code == 0 && outcome.errors.contains("stopped"), "\(outcome)")
      }
    }
  }

  @Test func nohupKeepsThemAtWork() async throws {
    try await withTemporaryFolder { folder in
      let words = [
        "run", try folder.plan(), "--listen", "127.0.0.1:0", "--database", folder.path("strata.sqlite"),
      ]
      let script = "trap '' HUP; exec '\(Command.folder.path("fedserver"))' \"$@\""
      let server = try Command("/bin/sh", ["-c", script, "sh"] + words)
      let address = try await listening(server)
      kill(server.process, SIGHUP)
      let clients = try ["one", "two"].map { try client(folder, $0, address, .read) }
      for client in clients { #expect(try await client.outcome().code == 0) }
      #expect(try await server.outcome().code == 0)
    }
  }
}
