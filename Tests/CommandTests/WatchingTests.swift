import Foundation
import PageChecks
import TestSupport
import Testing
import Wire

/// `fedserver run --http` and `fedserver report`, with the daemons as separate processes.
@Suite(.unhurried) struct WatchingTests {
  private func startServer(_ folder: URL, http: String = "127.0.0.1:0") throws -> Command {
    try Command(
      "fedserver",
      [
        "run", try folder.plan(rounds: 2), "--listen", "127.0.0.1:0", "--database",
        folder.path("strata.sqlite"), "--http", http,
      ])
  }

  private func endpoint(_ server: Command, _ words: String) async throws -> Endpoint {
    let line = try await server.errors.line(containing: words)
    let address = try #require(line.components(separatedBy: words).last)
    return try Endpoint(parsing: address.trimmingCharacters(in: ["/", " "]))
  }

  /// Rounds continue despite two hundred connections that never finish their requests.
  @Test func aCrowdAtThePageDoesNotHarmTheRounds() async throws {
    try await withTemporaryFolder { folder in
      let server = try startServer(folder)
      let peer = WebPeer(try await endpoint(server, "status page at http://"))
      let address = try await endpoint(server, "listening on ")
      var crowd: [ByteConnection] = []
      defer { for connection in crowd { connection.close() } }
      for _ in 0..<200 { crowd.append(try await peer.open(saying: "GET /api/overview HTTP/1.1\r\nA: ")) }
      // With this number of connections a request may have to be repeated. The server waits for its clients meanwhile.
      var health: Int?
      while health != 200 { health = try? await peer.get("/healthz").status }
      #expect(try await peer.get("/").body.contains(">tiny</h1>"))
      let clients = try ["one", "two"].map { name in
        try Command(
          "fedclient",
          [
            "run", "--server", "\(address)", "--name", name, "--data", "shapes:32", "--state",
            folder.path(name), "--threads", "1", "--patience", Unhurried.patience,
          ])
      }
      _ = try await server.errors.line(containing: "stage 1 round 1 is committed")
      for client in clients { #expect(try await client.outcome().code == 0) }
      let outcome = try await server.outcome()
      #expect(outcome.code == 0 && outcome.errors.contains("the job is done"), "\(outcome)")
      let database = folder.path("strata.sqlite")
      let rounds = try await Command.run("fedserver", "rounds", "--database", database)
      #expect(rounds.code == 0 && rounds.output.split(separator: "\n").count == 5, "\(rounds)")
      let listed = try await Command.run("fedserver", "clients", "--database", database, "--json")
      let devices = try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [[String: Any]]
      #expect(devices?.map { $0["name"] as? String } == ["one", "two"], "\(listed)")
      #expect(devices?.allSatisfy { $0["admitted"] as? Int == 4 } == true, "\(listed)")
      let report = folder.path("report.html")
      let written = try await Command.run(
        "fedserver", "report", "--database", folder.path("strata.sqlite"), "--out", report)
      #expect(written.code == 0 && written.errors.isEmpty, "\(written)")
      let found = try MarkupCheck.parse(try String(contentsOfFile: report, encoding: .utf8))
      #expect(found.text.contains("The job is done.") && found.text.contains("4 of\u{A0}4"))
    }
  }

  @Test func anAddressThatIsTakenIsSaidToBe() async throws {
    try await withTemporaryFolder { folder in
      let server = try startServer(folder)
      let taken = try await endpoint(server, "status page at http://")
      let other = folder.appendingPathComponent("other")
      try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
      let outcome = try await startServer(other, http: "\(taken)").outcome()
      #expect(outcome.code == 4 && outcome.errors.contains("the port is in use"), "\(outcome)")
      server.terminate()
      #expect(try await server.outcome().code == 0)
    }
  }

  /// An open page keeps polling, and the server exits after it has received the end.
  @Test func anOpenPageHearsThatTheServerStops() async throws {
    try await withTemporaryFolder { folder in
      let server = try startServer(folder)
      let peer = WebPeer(try await endpoint(server, "status page at http://"))
      var asked = ContinuousClock.now
      #expect(try await peer.get("/", "Strata-Page: it").body.contains("data-over=\"no\""))
      server.terminate()
      var isTold = false
      while !isTold {
        let now = ContinuousClock.now
        guard let page = try? await peer.get("/", "Strata-Page: it") else { break }
        (asked, isTold) = (now, page.body.contains(">Stopped<"))
      }
      // The server does not wait for a page that is later than its interval, which can happen on a slow machine.
      #expect(isTold || ContinuousClock.now - asked > .seconds(2))
      let outcome = try await server.outcome()
      #expect(outcome.code == 0 && !outcome.errors.contains("plain HTTP"), "\(outcome)")
    }
  }

  @Test func aPageForAllIsWarnedOf() async throws {
    try await withTemporaryFolder { folder in
      let server = try startServer(folder, http: "0.0.0.0:0")
      let line = try await server.errors.line(containing: "the status page is plain HTTP")
      #expect(line.contains("warning") && line.contains("anyone who reaches 0.0.0.0 can read it"))
      _ = try await endpoint(server, "status page at http://")
      server.terminate()
      let outcome = try await server.outcome()
      #expect(outcome.code == 0, "\(outcome)")
    }
  }

  @Test func noReportOfNoRun() async throws {
    try await withTemporaryFolder { folder in
      func report(_ out: String) async throws -> Command.Outcome {
        try await Command.run("fedserver", "report", "--database", folder.path("strata.sqlite"), "--out", out)
      }
      for list in ["rounds", "clients"] {
        let none = try await Command.run("fedserver", list, "--database", folder.path("strata.sqlite"))
        #expect(none.code == 7 && none.lines.count == 1, "\(none)")
      }
      let missing = try await report(folder.path("report.html"))
      #expect(
        missing.code == 7 && missing.lines.count == 1 && missing.errors.contains("there is no such file"))
      try Data("no database".utf8).write(to: folder.appendingPathComponent("strata.sqlite"))
      let broken = try await report(folder.path("report.html"))
      #expect(broken.code == 7 && broken.lines.count == 1, "\(broken)")
      #expect(!FileManager.default.fileExists(atPath: folder.path("report.html")))
    }
  }
}
