import Federation
import Foundation
import TestSupport
import Testing
import Wire

/// The two ends of a connection over the loopback interface.
private struct Pair {
  let client: Connection
  let server: Connection

  init(limit: Int = 1 << 20) async throws {
    let listener = try await Listener(Endpoint(host: "127.0.0.1", port: 0))
    async let accepted = listener.accept(limit: limit)
    client = try await Connection.connect(to: listener.endpoint, limit: limit)
    server = try await accepted
    listener.shutDown()
    listener.close()
  }

  func close() async {
    await client.close()
    await server.close()
  }
}

@Suite(.unhurried) struct ConnectionTests {
  private static let (senders, messages, payload) = (6, 8, 200_000)

  /// Returns message number `index` of a sender, which fills the payload.
  private static func message(_ sender: Int, _ index: Int) -> Message {
    .update(
      UpdateData(digest: Digest(of: Data([UInt8(sender)])), offset: index),
      Data(repeating: UInt8(sender * messages + index), count: payload + sender))
  }

  private static func sendAll(over connection: Connection) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for sender in 0..<senders {
        group.addTask {
          for index in 0..<messages { try await connection.send(message(sender, index)) }
        }
      }
      try await group.waitForAll()
    }
  }

  private static func receiveAll(from connection: Connection) async throws -> [Message] {
    var all: [Message] = []
    for _ in 0..<senders * messages { all.append(try await connection.receive()) }
    return all
  }

  @Test func messagesOfManySendersArriveWholeBothWaysAndAreCounted() async throws {
    let pair = try await Pair()
    let (client, server) = (pair.client, pair.server)
    async let sentUp: Void = Self.sendAll(over: client)
    async let sentDown: Void = Self.sendAll(over: server)
    async let up = Self.receiveAll(from: server)
    async let down = Self.receiveAll(from: client)
    _ = try await (sentUp, sentDown)
    var bytes = 0
    for received in [try await up, try await down] {
      for sender in 0..<Self.senders {
        let digest = Digest(of: Data([UInt8(sender)]))
        let own = received.filter {
          if case .update(let head, _) = $0 { head.digest == digest } else { false }
        }
        #expect(own == (0..<Self.messages).map { Self.message(sender, $0) }, "sender \(sender)")
      }
      bytes = try received.reduce(0) { $0 + (try $1.frame()).count }
    }
    #expect(client.traffic.sent == bytes && client.traffic.received == bytes)
    #expect(server.traffic.sent == bytes && server.traffic.received == bytes)
    await pair.close()
  }

  @Test func shutDownWakesAWaitingReceive() async throws {
    let pair = try await Pair()
    let client = pair.client
    let waiting = Task { try await client.receive() }
    // The task above has started by the time the other end has read this.
    try await client.send(.heartbeat(Heartbeat()))
    #expect(try await pair.server.receive() == .heartbeat(Heartbeat()))
    await client.shutDown()
    await #expect(throws: WireError.closed) { try await waiting.value }
    await #expect(throws: WireError.closed) { try await client.send(.heartbeat(Heartbeat())) }
    await #expect(throws: WireError.closed) { try await pair.server.receive() }
    await pair.close()
  }

  @Test func shutDownWakesASendThatThePeerDoesNotRead() async throws {
    let pair = try await Pair()
    let client = pair.client
    let sending = Task {
      while true { try await client.send(Self.message(1, 1)) }
    }
    // The first bytes are being sent; the socket's buffers take a few more, and then the sender waits.
    _ = try await pair.server.receive()
    await client.shutDown()
    await #expect(throws: WireError.closed) { try await sending.value }
    await pair.close()
  }

  @Test func aCancelledReceiveEnds() async throws {
    let pair = try await Pair()
    let client = pair.client
    let waiting = Task { try await client.receive() }
    try await client.send(.heartbeat(Heartbeat()))
    _ = try await pair.server.receive()
    waiting.cancel()
    await #expect(throws: WireError.closed) { try await waiting.value }
    await pair.close()
  }

  @Test func aFrameOverTheLimitEndsThatConnectionAlone() async throws {
    let (one, other) = (try await Pair(limit: 4096), try await Pair(limit: 4096))
    // The socket's buffers may be too small for all bytes, and the rest is not read.
    let client = one.client
    let sending = Task { try? await client.send(Self.message(0, 0)) }
    let error = await #expect(throws: WireError.self) { try await one.server.receive() }
    guard case .tooLong(let bytes, 4096)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(bytes == (try Self.message(0, 0).frame()).count - 4)
    #expect(one.server.traffic.received <= 1 << 16, "it went on reading")
    await one.close()
    await sending.value
    try await other.client.send(.heartbeat(Heartbeat(step: 1, steps: 2)))
    #expect(try await other.server.receive() == .heartbeat(Heartbeat(step: 1, steps: 2)))
    await other.close()
  }

  @Test func theLimitMayGrow() async throws {
    let pair = try await Pair(limit: 4096)
    await pair.server.setLimit(1 << 20)
    let client = pair.client
    let sending = Task { try await client.send(Self.message(2, 3)) }
    #expect(try await pair.server.receive() == Self.message(2, 3))
    try await sending.value
    await pair.close()
  }

  @Test func aPortThatNobodyListensOnIsAnErrorWithItsAddress() async throws {
    let endpoint = try await Endpoint.closed()
    let error = await #expect(throws: WireError.self) {
      try await Connection.connect(to: endpoint, limit: 100)
    }
    guard case .address(let address, let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(address == "\(endpoint)")
    #expect(!reason.isEmpty && !reason.contains("\n"))
  }
}
