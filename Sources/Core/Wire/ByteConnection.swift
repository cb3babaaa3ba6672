import FlyingSocks
import Foundation
import Synchronization

/// One end of a TCP connection that carries bytes and knows no messages: for what stands between two ends.
///
/// One task reads while another writes.
package final class ByteConnection: Sendable {
  private let socket: Socket
  private let pool: SocketPool<ePoll>
  private let isClosed = Atomic(false)

  init(_ socket: AsyncSocket, pool: SocketPool<ePoll>) {
    (self.socket, self.pool) = (socket.socket, pool)
    Network.sendAtOnce(socket.socket)
  }

  /// Connects to a host, or to addresses of it that are named in place of those that it has. Throws
  /// ``WireError/address(_:reason:)``.
  package static func connect(
    to endpoint: Endpoint, at addresses: [Endpoint]? = nil, limits: SocketLimits? = nil
  ) async throws(WireError) -> ByteConnection {
    let (socket, pool) = try await Network.connect(to: endpoint, at: addresses, limits: limits)
    return ByteConnection(socket, pool: pool)
  }

  /// The next bytes, at least one and at most `count`, and whether they had to be waited for. Throws
  /// ``WireError/closed`` at their end, and where the reading task is cancelled as it waits.
  package func read(atMost count: Int) async throws(WireError) -> (bytes: Data, hasWaited: Bool) {
    var stream = PlainStream(socket)
    var bytes = Data(count: count)
    let (read, hasWaited) = try await waiting { () throws(StreamError) in
      try bytes.withUnsafeMutableBytes { room in
        Swift.Result { () throws(StreamError) in try stream.read(into: room) }
      }.get()
    }
    return (bytes.prefix(read), hasWaited)
  }

  /// Writes all of them. Throws ``WireError/closed`` where the other end is gone, or the task is cancelled as it
  /// waits.
  package func write(_ bytes: Data) async throws(WireError) {
    var (stream, sent) = (PlainStream(socket), 0)
    while sent < bytes.count {
      sent += try await waiting { () throws(StreamError) in try stream.write([bytes], behind: sent) }.0
    }
  }

  private func waiting<Result>(
    _ body: () throws(StreamError) -> Result
  ) async throws(WireError) -> (Result, hasWaited: Bool) {
    var hasWaited = false
    while true {
      do {
        return (try body(), hasWaited)
      } catch {
        guard case .blocked(let event) = error else { throw .closed }
        hasWaited = true
        do { try await pool.suspendSocket(socket, untilReadyFor: [event]) } catch { throw .closed }
      }
    }
  }

  /// Says that nothing more is written; reading goes on.
  package func finish() { _ = Network.finish(socket.file.rawValue) }

  /// Frees the descriptor, once nobody reads or writes; a second time does nothing. What the other end has sent
  /// meanwhile is lost.
  package func close() {
    // Its number may be another socket's by the second time.
    guard !isClosed.exchange(true, ordering: .relaxed) else { return }
    Task { [socket, pool] in await Network.close(socket, pool) }
  }
}
