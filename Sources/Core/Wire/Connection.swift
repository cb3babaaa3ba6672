import Federation
import FlyingSocks
import Foundation
import Synchronization

/// One end of a TCP connection that carries messages.
///
/// One task receives; any number may send, and whole frames never mix. Every byte is counted.
package actor Connection {
  /// Bytes that went through the socket so far; readable at any time.
  package nonisolated let traffic = Traffic()
  /// Where the other end is, for logs.
  package nonisolated let peer: String
  private let socket: Socket
  private let pool: any AsyncSocketPool
  private var decoder: FrameDecoder
  private var isShutDown = false
  private var isSending = false
  private var senders: [CheckedContinuation<Void, Never>] = []

  init(_ socket: AsyncSocket, pool: any AsyncSocketPool, limit: Int) {
    self.socket = socket.socket
    self.pool = pool
    decoder = FrameDecoder(limit: limit)
    peer = (try? socket.socket.remotePeer()).map(Self.describe) ?? "a peer that is gone"
    // Small messages are answered at once; without this they wait for each other's acknowledgements.
    try? socket.socket.setValue(1, for: Int32SocketOption(level: Int32(IPPROTO_TCP), name: TCP_NODELAY))
  }

  /// Connects to a server. Throws ``WireError`` with the reason where that is not possible.
  package static func connect(to endpoint: Endpoint, limit: Int) async throws(WireError) -> Connection {
    let address = try endpoint.resolve()
    do {
      let pool = try await Network.pool
      return Connection(try await connected(to: address, pool: pool), pool: pool, limit: limit)
    } catch {
      let isRefused = (error as? SocketError) == .disconnected
      throw .address("\(endpoint)", reason: isRefused ? "nothing listens there" : Network.reason(error))
    }
  }

  private static func connected(
    to address: some SocketAddress, pool: some AsyncSocketPool
  ) async throws -> AsyncSocket {
    try await AsyncSocket.connected(to: address, pool: pool, timeout: 10)
  }

  /// The longest frame that is taken from now on, in bytes.
  package func setLimit(_ bytes: Int) { decoder.limit = bytes }

  /// The next message. Throws ``WireError`` for bytes that are none, and where the connection ends.
  package func receive() async throws(WireError) -> Message {
    while true {
      if let frame = try decoder.next() { return try Message(frame) }
      let bytes = try await read()
      traffic.add(received: bytes.count)
      decoder.append(bytes)
    }
  }

  /// Sends a message, after those that wait already.
  package func send(_ message: Message) async throws(WireError) {
    let bytes: Data
    do { bytes = try message.frame().encoded() } catch { throw .malformed("\(error)") }
    await takeTurn()
    defer { passTurn() }
    var sent = bytes.startIndex
    while sent < bytes.endIndex {
      guard !isShutDown else { throw .closed }
      do {
        let next = try socket.write(bytes, from: sent)
        traffic.add(sent: next - sent)
        sent = next
      } catch SocketError.blocked {
        do { try await pool.suspendSocket(socket, untilReadyFor: .write) } catch { throw .closed }
      } catch {
        throw .closed
      }
    }
  }

  /// Ends both directions: whoever receives or sends gets ``WireError/closed``.
  package func shutDown() {
    guard !isShutDown else { return }
    isShutDown = true
    // Closing alone would leave those asleep who wait for the socket; this wakes them.
    _ = Network.shutDown(socket.file.rawValue)
  }

  /// Ends the connection and frees its descriptor, once nobody uses it. The receiving task calls it last.
  package func close() async {
    shutDown()
    await takeTurn()
    try? socket.close()
    passTurn()
  }

  private func read() async throws(WireError) -> [UInt8] {
    while true {
      guard !isShutDown else { throw .closed }
      do {
        return try socket.read(atMost: 1 << 16)
      } catch SocketError.blocked {
        do { try await pool.suspendSocket(socket, untilReadyFor: .read) } catch { throw .closed }
      } catch {
        throw .closed
      }
    }
  }

  private func takeTurn() async {
    guard isSending else {
      isSending = true
      return
    }
    await withCheckedContinuation { senders.append($0) }
  }

  private func passTurn() {
    if senders.isEmpty {
      isSending = false
    } else {
      senders.removeFirst().resume()
    }
  }

  private static func describe(_ address: Socket.Address) -> String {
    switch address {
    case .ip4(let host, let port): "\(host):\(port)"
    case .ip6(let host, let port): "[\(host)]:\(port)"
    case .unix(let path): path
    }
  }
}

/// Bytes counted at a socket, frames and all.
package final class Traffic: Sendable {
  private let counts = Mutex((received: 0, sent: 0))

  package init() {}

  package var received: Int { counts.withLock { $0.received } }
  package var sent: Int { counts.withLock { $0.sent } }

  package func add(received: Int = 0, sent: Int = 0) {
    counts.withLock {
      $0.received += received
      $0.sent += sent
    }
  }
}
