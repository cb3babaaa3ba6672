import Foundation
import PageChecks
import Server
import TestSupport
import Testing
import Watch
import Wire

/// All resources of a server, through real sockets.
@Suite(.unhurried) struct WatchTests {
  private func watching(
    _ run: MadeRun, patience: Duration = Unhurried.limit,
    connected: @escaping @Sendable () async -> [ConnectedClient] = { [] },
    _ body: @Sendable (WebPeer) async throws -> Void
  ) async throws {
    let watch = try await Watch(
      Endpoint(host: "127.0.0.1", port: 0), run.plan, database: run.path, patience: patience,
      connected: connected)
    try await watch.during { try await body(WebPeer(watch.endpoint)) }
  }

  @Test(arguments: [
    ("/", "text/html; charset=utf-8", ">made</h1>"),
    ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "strata_rounds_committed_total 2"),
    ("/healthz", "application/json", #"{"status":"ok"}"#),
    ("/api/overview", "application/json", #""plannedRounds"#),
    ("/api/rounds", "application/json", #""loss":2.5"#),
    ("/api/clients", "application/json", #""name":"device-2""#),
    ("/api/layers", "application/json", #""state":"training""#),
  ])
  func everyPathHasItsAnswer(path: String, type: String, part: String) async throws {
    try await withMadeRun { run in
      try await watching(run) { peer in
        let answer = try await peer.get(path)
        #expect(answer.status == 200 && answer.headers["content-type"] == type)
        #expect(path == "/api/overview" || answer.body.contains(part), "\(answer.body)")
        if type == "application/json" { _ = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) }
        // The same content is not sent twice, except the metrics, which include changing values of this process.
        guard path != "/metrics" else { return }
        // Content that depends on the time may have changed, but not in every try.
        var (tag, status, asker) = (answer.headers["etag"] ?? "", 200, 0)
        while status == 200 {
          // A repeated poller would delay the shutdown.
          let again = try await peer.get(path, "If-None-Match: \(tag)", "User-Agent: \(asker)")
          (tag, status, asker) = (again.headers["etag"] ?? tag, again.status, asker + 1)
        }
        #expect(status == 304)
      }
    }
  }

  @Test(arguments: ["/plan", "/api", "/api/", "/../strata.sqlite", "/index.html", "//", "/healthz/"])
  func thereIsNothingElse(path: String) async throws {
    try await withMadeRun { run in
      try await watching(run) { peer in
        let answer = try await peer.get(path)
        #expect(answer.status == 404)
      }
    }
  }

  @Test func theOverviewIsReadBackAsItIs() async throws {
    try await withMadeRun { run in
      let expected = Overview(try run.recorded, run.plan, connected: [], at: Date())
      try await watching(run) { peer in
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        let body = try await peer.get("/api/overview").body
        let overview = try decoder.decode(Overview.self, from: Data(body.utf8))
        #expect(overview.rounds == expected.rounds && overview.layers == expected.layers)
        #expect(overview.clients == expected.clients)
      }
    }
  }

  /// A stuck coordinator is reported; the stored data are shown nevertheless.
  @Test func aCoordinatorThatDoesNotAnswerIsReported() async throws {
    try await withMadeRun { run in
      let (never, end) = AsyncStream<Void>.makeStream()
      defer { end.finish() }
      let connected: @Sendable () async -> [ConnectedClient] = {
        for await _ in never {}
        return []
      }
      try await watching(run, patience: .milliseconds(200), connected: connected) { peer in
        let health = try await peer.get("/healthz")
        #expect(health.status == 503 && health.body.contains("does not answer"))
        #expect(try await peer.get("/api/rounds").status == 200)
      }
    }
  }

  @Test func itListensNoMoreWhenTheRunIsOver() async throws {
    try await withMadeRun { run in
      let watch = try await Watch(
        Endpoint(host: "127.0.0.1", port: 0), run.plan, database: run.path, patience: Unhurried.limit,
        connected: { [] })
      let status = try await watch.during { try await WebPeer(watch.endpoint).get("/healthz").status }
      #expect(status == 200)
      await #expect(throws: (any Error).self) { try await WebPeer(watch.endpoint).get("/healthz") }
    }
  }

  /// An open page polls until it has received the end of the job, and only then the server exits.
  @Test(arguments: [ServerStatus.Phase.finished, .failed])
  func anOpenPageHearsOfTheEnd(phase: ServerStatus.Phase) async throws {
    try await withMadeRun { run in
      let watch = try await Watch(
        Endpoint(host: "127.0.0.1", port: 0), run.plan, database: run.path, patience: Unhurried.limit,
        connected: { [] })
      let peer = WebPeer(watch.endpoint)
      let word = phase == .finished ? "Finished" : "Given up"
      let (ends, end) = AsyncStream<Void>.makeStream()
      async let heard = {
        for await _ in ends {}
        while let page = try? await peer.get("/", "Strata-Page: it") {
          if page.body.contains(">\(word)<") { return true }
        }
        return false
      }()
      try await watch.during {
        #expect(try await peer.get("/", "Strata-Page: it").body.contains("data-over=\"no\""))
        var status = try run.recorded.status
        status.phase = phase
        try Store(run.path).note(status)
        end.finish()
      }
      #expect(await heard)
      await #expect(throws: (any Error).self) { try await peer.get("/") }
    }
  }
}
