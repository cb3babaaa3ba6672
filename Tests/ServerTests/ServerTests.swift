import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct ServerTests {
  @Test func aPortInUseIsSaidBeforeAnythingRuns() async throws {
    try await withServer(Plan.tiny()) { server, _ in
      try await withTemporaryFolder { folder in
        let store = try Store(folder.appendingPathComponent("strata.sqlite").path)
        let error = await #expect(throws: WireError.self) {
          _ = try await Server(Plan.tiny(), store: store, endpoint: server.endpoint, threads: 1)
        }
        #expect("\(error ?? .closed)".contains("in use"))
      }
    }
  }

  @Test func aStoppedServerFreesItsPort() async throws {
    try await withTemporaryFolder { folder in
      let path = folder.appendingPathComponent("strata.sqlite").path
      let endpoint = try await withServer(Plan.tiny(), path) { server in
        await server.stop()
        await #expect(throws: CancellationError.self) { try await server.result() }
        return server.endpoint
      }
      let listener = try await Listener(endpoint)
      listener.shutDown()
      listener.close()
    }
  }

  /// Later commits would be lost: no client gets an acknowledgement, and clients retry.
  @Test func aServerWhoseDatabaseIsGoneEnds() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, path in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      _ = try #require(try await client.assignment())
      try FileManager.default.moveItem(atPath: path, toPath: path + ".moved")
      let other = try await ScriptedClient("b", at: server.endpoint)
      for one in [client, other] {
        var message = try await one.hear()
        while message.name != "goodbye" { message = try await one.hear() }
        #expect(message == .goodbye(Goodbye(.stopping, "the server cannot use its database")))
      }
      let error = await #expect(throws: StoreError.self) { try await server.result() }
      #expect(error?.description.contains("moved or removed") == true)
      #expect(!FileManager.default.fileExists(atPath: path), "no other is made in its place")
    }
  }

  /// A job that no client can reach any more does not continue silently.
  @Test func aServerThatCannotListenAnyMoreEnds() async throws {
    try await withTemporaryFolder { folder in
      let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
      let server = try Server(
        Plan.tiny(cohort: 1), store: try Store(folder.appendingPathComponent("strata.sqlite").path),
        folder: folder, listener: listener, threads: 1, access: Access(),
        unauthenticated: ConnectionLimiter.Limits()
      ) { event in
        if case .recruiting = event { listener.shutDown() }
      }
      let error = await #expect(throws: WireError.self) { try await server.run() }
      #expect("\(error!)".contains("the listening socket is closed"))
    }
  }

  @Test func aClientThatComesAfterTheEndIsToldSo() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, _ in
      let early = try await ScriptedClient.welcome("a", at: server.endpoint)
      // Connected, but silent until the job is finished.
      let silent = try await Connection.connect(to: server.endpoint, limit: WireLimits.frame)
      #expect(try await early.takePart(samples: 3, adding: 1).count == 2)
      try await server.events.first { if case .finished = $0 { () } else { nil } }
      try await silent.send(.hello(Hello(name: "late", software: "test")))
      #expect(try await silent.receive() == .goodbye(Goodbye(.finished)))
      await silent.close()
      _ = try await server.result()
    }
  }

  @Test func trafficIsCountedAtTheSocket() async throws {
    try await withServer(Plan.tiny(cohort: 1)) { server, path in
      let client = try await ScriptedClient.welcome("a", at: server.endpoint)
      let traffic = client.connection.traffic
      #expect(try await client.takePart(samples: 3, adding: 1).count == 2)
      _ = try await server.result()
      let counted = try #require(try Store(path).clients().first)
      #expect(counted.bytesUp == traffic.sent)
      #expect(counted.bytesDown == traffic.received)
    }
  }
}
