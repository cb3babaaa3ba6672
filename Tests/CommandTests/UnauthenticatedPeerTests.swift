import Federation
import Foundation
import TestSupport
import Testing
import Wire

/// The log lines that an unauthenticated peer can cause.
@Suite(.unhurried) struct UnauthenticatedPeerTests {
  private func withServer(
    clients: Int = 2, _ body: (Endpoint, Command, URL) async throws -> Void
  ) async throws {
    try await withTemporaryFolder { folder in
      let server = try Command(
        "fedserver",
        [
          "run", try folder.plan(clients: clients), "--listen", "127.0.0.1:0", "--database",
          folder.path("strata.sqlite"),
        ])
      let line = try await server.errors.line(containing: "listening on ")
      try await body(
        try Endpoint(parsing: String(try #require(line.split(separator: " ").last))), server, folder)
    }
  }

  private func stop(_ server: Command) async throws -> Command.Outcome {
    server.terminate()
    let outcome = try await server.outcome()
    #expect(outcome.code == 0, "\(outcome.code)")
    return outcome
  }

  /// Sends bytes and waits until the server closes the connection.
  private func say(_ bytes: Data, to endpoint: Endpoint) async throws {
    let connection = try await ByteConnection.connect(to: endpoint)
    defer { connection.close() }
    try? await connection.write(bytes)
    while (try? await connection.read(atMost: 4096)) != nil {}
  }

  /// Any number of peers causes one line per second, and all of them are counted.
  @Test func aFloodOfConnectionsIsNoFloodOfLines() async throws {
    try await withServer { endpoint, server, _ in
      let (count, start) = (300, ContinuousClock.now)
      let hello = Frame(kind: 1, head: Data(#"{"protocol": "\u001b[2J\nforged", "name": 3}"#.utf8))
      for number in 0..<count {
        let kinds = [Data("GET / HTTP/1.1\r\n\u{1B}[2J\r\n\r\n".utf8), hello.encoded(), Data(count: 64)]
        try await say(kinds[number % kinds.count], to: endpoint)
      }
      let outcome = try await stop(server)
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      let named = outcome.lines.count { $0.contains("the connection from ") && $0.contains(" is rejected: ") }
      let sums = outcome.lines.compactMap {
        $0.firstMatch(of: /(\d+) more connections? (was|were) rejected/)
      }
      #expect(named + sums.reduce(0) { $0 + Int($1.1)! } == count, "\(outcome.errors.suffix(2000))")
      #expect(
        named >= 10 && Double(named + sums.count) <= 12 + seconds, "\(named), \(sums.count) in \(seconds) s")
    }
  }

  /// A peer's text stays on one line and is shortened.
  @Test func aPeersTextIsOneShortLine() async throws {
    try await withServer(clients: 1) { endpoint, server, folder in
      let foul = "\u{1B}[2J\r\nforged: line\u{202E}\u{9B}31m\n"
      let long = foul + String(repeating: "x", count: 180_000)
      func head(_ value: [String: Any]) throws -> Data { try JSONSerialization.data(withJSONObject: value) }
      func speak() async throws {
        let peer = try await ByteConnection.connect(to: endpoint)
        defer { peer.close() }
        let hello = ["protocol": 1, "name": "peer", "software": foul] as [String: Any]
        try await peer.write(Frame(kind: 1, head: try head(hello)).encoded())
        var decoder = FrameDecoder(limit: WireLimits.frame)
        var key: [String: Any]?
        while key == nil {
          while let frame = try decoder.next() {
            guard case .assignment(let assignment) = try Message(frame) else { continue }
            key =
              try JSONSerialization.jsonObject(with: JSONEncoder().encode(assignment.key)) as? [String: Any]
          }
          if key == nil { decoder.append(try await peer.read(atMost: 1 << 16).bytes) }
        }
        try await peer.write(Frame(kind: 13, head: try head(["key": key!, "reason": long])).encoded())
        try await peer.write(
          Frame(kind: 12, head: try head(["reason": "stopping", "detail": long])).encoded())
      }
      // The server waits ten seconds for a hello, and the usual time for heartbeats; on a busy machine a peer may have
      // to reconnect.
      var hasSpoken = false
      while !hasSpoken {
        do {
          try await speak()
          hasSpoken = true
        } catch WireError.closed { continue }
      }
      _ = try await server.errors.line(containing: "peer left: stopping")
      let outcome = try await stop(server)
      #expect(outcome.lines.contains { $0.contains(#"peer declines: \u{1B}[2J\r\nforged: line"#) })
      for line in outcome.lines {
        #expect(line.count < 500 && line.hasPrefix("20"), "\(line.prefix(600))")
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) })
      }
      let database = folder.path("strata.sqlite")
      for question in [["clients"], ["clients", "--json"], ["rounds", "--all"], ["status"]] {
        let told = try await Command("fedserver", question + ["--database", database]).outcome()
        #expect(told.code == 0, "\(told)")
        #expect(
          !told.output.unicodeScalars.contains {
            $0 != "\n" && $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) || $0 == "\u{202E}"
          }, "\(question): \(told.output)")
      }
    }
  }
}
