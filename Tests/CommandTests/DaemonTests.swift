import Foundation
import TestSupport
import Testing
import Wire

/// The two daemons as separate processes.
@Suite(.unhurried) struct DaemonTests {
  private func startServer(
    _ folder: URL, rounds: Int, listen: String = "127.0.0.1:0"
  ) throws -> Command {
    try Command(
      "fedserver",
      [
        "run", try folder.plan(rounds: rounds), "--listen", listen, "--database",
        folder.path("strata.sqlite"),
      ])
  }

  private func startClient(
    _ folder: URL, _ name: String, _ address: String, patience: String = Unhurried.patience
  ) throws
    -> Command
  {
    try Command(
      "fedclient",
      [
        "run", "--server", address, "--name", name, "--data", "shapes:32", "--state", folder.path(name),
        "--threads", "1", "--patience", patience,
      ])
  }

  private func listening(_ server: Command) async throws -> String {
    let line = try await server.errors.line(containing: "listening on ")
    return String(try #require(line.split(separator: " ").last))
  }

  @Test func aServerAndTwoClientsFinishAJob() async throws {
    try await withTemporaryFolder { folder in
      let server = try startServer(folder, rounds: 2)
      let address = try await listening(server)
      let clients = try ["one", "two"].map { try startClient(folder, $0, address) }
      for client in clients {
        let outcome = try await client.outcome()
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.errors.contains("the job is done"))
      }
      let outcome = try await server.outcome()
      #expect(outcome.code == 0, "\(outcome)")
      #expect(outcome.output.wholeMatch(of: /encoder [0-9a-f]{64}\n/) != nil, "\(outcome.output)")
      for round in ["stage 1 round 1", "stage 1 round 2", "stage 2 round 1", "stage 2 round 2"] {
        #expect(outcome.errors.contains("\(round) is committed: 2 clients"), "\(outcome.errors)")
      }
    }
  }

  @Test func aServerThatIsStoppedGoesOnWhenItIsStartedAgain() async throws {
    try await withTemporaryFolder { folder in
      let first = try startServer(folder, rounds: 40, listen: "\(Endpoint.ownHost()):0")
      let address = try await listening(first)
      let clients = try ["one", "two"].map { try startClient(folder, $0, address) }
      first.send(SIGTERM, at: "stage 1 round 2 is committed")
      let stopped = try await first.outcome()
      #expect(stopped.code == 0, "\(stopped)")
      #expect(stopped.errors.contains("stopped; the job continues"))
      #expect(!stopped.errors.contains("the job is done"), "it was too fast to be stopped in the middle")
      let second = try startServer(folder, rounds: 40, listen: address)
      _ = try await second.errors.line(containing: "continuing after stage 1 round")
      for client in clients {
        let outcome = try await client.outcome()
        #expect(outcome.code == 0, "\(outcome)")
      }
      let finished = try await second.outcome()
      #expect(finished.code == 0, "\(finished)")
      #expect(finished.errors.contains("stage 2 round 40 is committed"))
      #expect(!finished.errors.contains("stage 1 round 1 is committed"), "it began again")
      // After the end of the job, a server ends at once with the same result.
      let third = try await startServer(folder, rounds: 40).outcome()
      #expect(third.code == 0 && third.output == finished.output, "\(third)")
    }
  }

  private func sockets(of command: Command) throws -> Int {
    let descriptors = "/proc/\(command.process)/fd"
    return try FileManager.default.contentsOfDirectory(atPath: descriptors).count {
      let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(descriptors)/\($0)")
      return target?.hasPrefix("socket:") ?? false
    }
  }

  /// A client may retry some hundred thousand times while a server is away for weeks.
  @Test func aServerThatIsAwayCostsNoDescriptors() async throws {
    try await withTemporaryFolder { folder in
      let host = "127.\(Int.random(in: 1...254)).\(Int.random(in: 1...254)).7"
      let listener = try await Listener(Endpoint(host: host, port: 0))
      listener.shutDown()
      listener.close()
      let client = try startClient(folder, "one", "\(listener.endpoint)", patience: "1h")
      // Other descriptors are inherited from this process.
      _ = try await client.errors.line(containing: "disconnected: ")
      let before = try sockets(of: client)
      let line = try await client.errors.line(containing: "disconnected: ", number: 6)
      #expect(line.hasSuffix("disconnected: \(listener.endpoint): nothing listens there"), "\(line)")
      #expect(try sockets(of: client) <= before + 1, "one at most is being tried")
      client.terminate()
      #expect(try await client.outcome().code == 0)
    }
  }

  /// Independent of the duration of the connection.
  @Test func aClientThatIsStoppedEndsInGoodOrder() async throws {
    try await withTemporaryFolder { folder in
      let server = try startServer(folder, rounds: 1)
      let client = try startClient(folder, "one", try await listening(server), patience: "1ms")
      _ = try await client.errors.line(containing: "joined the job")
      client.terminate()
      let outcome = try await client.outcome()
      #expect(outcome.code == 0, "\(outcome)")
      server.terminate()
      #expect(try await server.outcome().code == 0)
    }
  }

  /// A server may be stopped as soon as it listens, for instance by systemd during a shutdown.
  @Test func aServerThatIsStoppedAsItStartsEndsInGoodOrder() async throws {
    try await withTemporaryFolder { folder in
      for _ in 0..<12 {
        let server = try startServer(folder, rounds: 1)
        _ = try await listening(server)
        server.terminate()
        #expect(try await server.outcome().code == 0)
      }
    }
  }

  @Test func aServerThatIsCutOffGoesOnWhenItIsStartedAgain() async throws {
    try await withTemporaryFolder { folder in
      let first = try startServer(folder, rounds: 30, listen: "\(Endpoint.ownHost()):0")
      let address = try await listening(first)
      let clients = try ["one", "two"].map { try startClient(folder, $0, address) }
      first.send(SIGKILL, at: "stage 1 round 2 is committed")
      #expect(try await first.outcome().code == -9)
      let second = try startServer(folder, rounds: 30, listen: address)
      for client in clients { #expect(try await client.outcome().code == 0) }
      let finished = try await second.outcome()
      #expect(finished.code == 0, "\(finished)")
      #expect(finished.errors.contains("continuing after stage 1 round"))
      #expect(!finished.errors.contains("stage 1 round 1 is committed"), "it began again")
    }
  }

  @Test func anotherPlanOnTheSameDatabaseIsRejected() async throws {
    try await withTemporaryFolder { folder in
      let server = try startServer(folder, rounds: 1)
      _ = try await listening(server)
      server.cut()
      #expect(try await server.outcome().code == -9)
      let other = try await Command.run(
        "fedserver", "run", try folder.plan(rounds: 2), "--listen", "127.0.0.1:0", "--database",
        folder.path("strata.sqlite"))
      #expect(other.code == 7 && other.lines.count == 1, "\(other)")
      #expect(other.errors.contains("the plan 'tiny'"))
    }
  }
}
