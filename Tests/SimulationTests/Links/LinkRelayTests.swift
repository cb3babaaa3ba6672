import Engine
import Foundation
import Simulation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct LinkRelayTests {
  /// Runs `body` with a link and the listener at its far end.
  private func withRelay(
    _ link: String, seed: UInt64 = 1, _ body: (LinkRelay, Listener) async throws -> Void
  ) async throws {
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    let relay = try await LinkRelay(LinkShape(parsing: link), to: listener.endpoint, seed: seed)
    defer {
      listener.shutDown()
      listener.close()
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await relay.run() }
      try await body(relay, listener)
      relay.shutDown()
      try await group.waitForAll()
    }
  }

  /// Runs `body` with both ends of a connection through a link.
  private func withConnection(
    _ relay: LinkRelay, _ listener: Listener,
    _ body: (_ client: ByteConnection, _ server: ByteConnection) async throws -> Void
  ) async throws {
    async let accepted = listener.acceptBytes()
    let client = try await ByteConnection.connect(to: relay.endpoint)
    defer { client.close() }
    let server = try await accepted
    defer { server.close() }
    try await body(client, server)
  }

  private func readAll(_ connection: ByteConnection) async -> Data {
    var all = Data()
    while let piece = try? await connection.read(atMost: 1 << 16) { all += piece.bytes }
    return all
  }

  private func read(_ count: Int, from connection: ByteConnection) async throws -> Data {
    var all = Data()
    while all.count < count { all += try await connection.read(atMost: count - all.count).bytes }
    return all
  }

  /// Writes bytes in pieces of random size, and closes the sending side.
  private func send(_ bytes: Data, over connection: ByteConnection, seed: UInt64) async throws {
    var (numbers, rest) = (RandomNumbers(seed), bytes)
    while !rest.isEmpty {
      let count = min(rest.count, 1 + numbers.below(40_000))
      try await connection.write(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
    connection.finish()
  }

  private func randomBytes(_ count: Int, _ numbers: inout RandomNumbers) -> Data {
    Data((0..<count).map { _ in UInt8(truncatingIfNeeded: numbers.next()) })
  }

  @Test(arguments: ["100mbit/50mbit,5ms", "20mbit", "1gbit,30ms"])
  func bytesStayWholeAndInOrderBothWays(link: String) async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var numbers = RandomNumbers(seed)
    let (up, down) = (randomBytes(700_000, &numbers), randomBytes(600_000, &numbers))
    try await withRelay(link) { relay, listener in
      try await withConnection(relay, listener) { client, server in
        async let sentUp: Void = send(up, over: client, seed: seed)
        async let sentDown: Void = send(down, over: server, seed: seed &+ 1)
        async let received = readAll(server)
        #expect(await readAll(client) == down, "seed \(seed)")
        #expect(await received == up, "seed \(seed)")
        _ = try await (sentUp, sentDown)
      }
      #expect(relay.counts.up == up.count && relay.counts.down == down.count && relay.counts.cuts == 0)
    }
  }

  /// Each direction has a separate rate, which is never exceeded.
  @Test func theRateHolds() async throws {
    let link = try LinkShape(parsing: "8mbit/16mbit")
    try await withRelay("\(link)") { relay, listener in
      try await withConnection(relay, listener) { client, server in
        let bytes = Data(count: 200_000)
        for (source, destination, rate) in [(client, server, link.up), (server, client, link.down)] {
          let start = ContinuousClock.now
          async let received = read(bytes.count, from: destination)
          try await source.write(bytes)
          _ = try await received
          #expect(ContinuousClock.now - start >= rate.time(for: bytes.count))
        }
      }
    }
  }

  /// A handshake and a request with its answer take two round trips; each further request takes one.
  @Test func theDelayHolds() async throws {
    let delay = Duration.milliseconds(60)
    try await withRelay("1gbit,60ms") { relay, listener in
      let start = ContinuousClock.now
      try await withConnection(relay, listener) { client, server in
        for round in 2...4 {
          try await client.write(Data("?".utf8))
          _ = try await read(1, from: server)
          try await server.write(Data("!".utf8))
          _ = try await read(1, from: client)
          #expect(ContinuousClock.now - start >= delay * 2 * round)
        }
      }
    }
  }

  /// The seed and the connection's number determine the byte of the cut; the next connection has a new one.
  @Test func aLossCutsTheConnection() async throws {
    let bytes = Data(count: 20_000_000)
    try await withRelay("10gbit,0s,99%", seed: 42) { relay, listener in
      for number in 1...3 {
        var numbers = RandomNumbers(42, "link", number)
        let distance = LossMeter(percent: 99, &numbers).take(bytes.count)
        try #require(distance < bytes.count)
        let before = relay.counts.up
        try await withConnection(relay, listener) { client, server in
          async let received = readAll(server)
          let sending = Task { try await client.write(bytes) }
          #expect(await received.count == distance)
          server.close()
          await #expect(throws: WireError.closed) { try await sending.value }
        }
        #expect(relay.counts.up - before == distance && relay.counts.cuts == number)
      }
    }
  }

  /// A client that returns before the server notices the loss would be rejected, because its name is connected already.
  @Test func theServerHearsOfALossFirst() async throws {
    let order = OrderLog()
    try await withRelay("10gbit,0s,99%") { relay, listener in
      async let accepted = listener.acceptBytes()
      let client = try await ByteConnection.connect(to: relay.endpoint)
      let server = try await accepted
      async let heard: Void = {
        _ = await readAll(client)
        order.note("client")
      }()
      async let sent: Void? = try? client.write(Data(count: 20_000_000))
      _ = await readAll(server)
      for _ in 0..<100 { await Task.yield() }
      order.note("server")
      server.close()
      _ = await (heard, sent)
      client.close()
    }
    #expect(order.events == ["server", "client"])
  }

  @Test func aServerThatIsNotThereIsAConnectionThatEnds() async throws {
    try await withRelay("1gbit") { relay, listener in
      listener.shutDown()
      let client = try await ByteConnection.connect(to: relay.endpoint)
      await #expect(throws: WireError.closed) { try await client.read(atMost: 1) }
      client.close()
    }
  }
}
