import Engine
import Foundation
import TestSupport
import Testing
import Wire

@Suite(.unhurried) struct ByteConnectionTests {
  /// Runs `body` with both ends of a connection, which are closed afterwards.
  private func withPair(
    limits: SocketLimits? = nil,
    _ body: (_ client: ByteConnection, _ server: ByteConnection) async throws -> Void
  ) async throws {
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0), limits: limits)
    async let accepted = listener.acceptBytes()
    let client = try await ByteConnection.connect(to: listener.endpoint, limits: limits)
    let server = try await accepted
    listener.shutDown()
    listener.close()
    defer {
      client.close()
      server.close()
    }
    try await body(client, server)
  }

  private func readAll(_ connection: ByteConnection) async -> Data {
    var all = Data()
    while let piece = try? await connection.read(atMost: 1000) { all += piece.bytes }
    return all
  }

  @Test(arguments: [nil, SocketLimits(segment: 1460, unread: 4096)])
  func bytesArriveWholeAndInOrder(limits: SocketLimits?) async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var numbers = RandomNumbers(seed)
    let bytes = Data((0..<1_000_000).map { _ in UInt8.random(in: 0...255, using: &numbers) })
    try await withPair(limits: limits) { client, server in
      async let received = readAll(server)
      try await client.write(bytes)
      client.finish()
      #expect(await received == bytes, "seed \(seed)")
      // The other direction is still open.
      try await server.write(Data("well".utf8))
      #expect(try await client.read(atMost: 100).bytes == Data("well".utf8))
    }
  }

  @Test func aReadSaysWhetherItHadToWait() async throws {
    try await withPair { client, server in
      async let first = server.read(atMost: 1)
      try await client.write(Data([1, 2]))
      #expect(try await first.bytes == Data([1]))
      // Both bytes arrived as one segment, so the second is there.
      let second = try await server.read(atMost: 1)
      #expect(second.bytes == Data([2]) && !second.hasWaited)
    }
  }

  @Test func aCancelledReadEnds() async throws {
    try await withPair { client, _ in
      let reading = Task { try await client.read(atMost: 1) }
      reading.cancel()
      await #expect(throws: WireError.closed) { try await reading.value }
    }
  }

  /// Descriptors are reused as soon as they are free: a second close must not affect another connection.
  @Test func aSecondCloseDoesNothing() async throws {
    try await withPair { one, _ in
      one.close()
      try await withPair { client, server in
        one.close()
        try await client.write(Data([1]))
        #expect(try await server.read(atMost: 1).bytes == Data([1]))
      }
    }
  }

  @Test func nobodyListensThere() async throws {
    let endpoint = try await Endpoint.closed()
    let error = await #expect(throws: WireError.self) {
      _ = try await ByteConnection.connect(to: endpoint)
    }
    guard case .address(let address, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(address == "\(endpoint)")
  }
}
