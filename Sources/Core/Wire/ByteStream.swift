import FlyingSocks
import Foundation
import Synchronization

/// What frames travel on: a socket, with or without TLS on it. Nothing here waits.
protocol ByteStream {
  /// Reads some bytes into the buffer, which is not empty. Returns how many.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(StreamError) -> Int

  /// Writes some of the bytes of pieces that follow each other, behind those that are `sent`, which not all are. Returns how
  /// many more are.
  mutating func write(_ pieces: [Data], behind sent: Int) throws(StreamError) -> Int

  /// Bytes that went through the socket so far.
  var counts: (received: Int, sent: Int) { get }
}

/// Why nothing was read or written.
enum StreamError: Error {
  /// Not before the socket is ready for this.
  case blocked(Socket.Event)
  case closed
  /// TLS ended it, and why.
  case tls(TLSFailure)
}

/// A socket without TLS.
struct PlainStream: ByteStream {
  private let socket: Socket
  private(set) var counts = (received: 0, sent: 0)

  init(_ socket: Socket) { self.socket = socket }

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(StreamError) -> Int {
    while true {
      let count = Foundation.read(socket.file.rawValue, buffer.baseAddress, buffer.count)
      if count > 0 {
        counts.received += count
        return count
      }
      guard count < 0 else { throw .closed }
      switch errno {
      case EINTR: continue
      case EAGAIN, EWOULDBLOCK: throw .blocked(.read)
      default: throw .closed
      }
    }
  }

  mutating func write(_ pieces: [Data], behind sent: Int) throws(StreamError) -> Int {
    while true {
      // All in one call: each would travel, and wake its reader, by itself.
      let count = Self.vectors(pieces[...], behind: sent, []) { vectors in
        var message = msghdr()
        message.msg_iov = vectors.baseAddress
        message.msg_iovlen = vectors.count
        return sendmsg(socket.file.rawValue, &message, Int32(MSG_NOSIGNAL))
      }
      guard count < 0 else {
        counts.sent += count
        return count
      }
      switch errno {
      case EINTR: continue
      case EAGAIN, EWOULDBLOCK: throw .blocked(.write)
      default: throw .closed
      }
    }
  }

  /// Calls `body` with where the bytes of the pieces are, without the first `sent`.
  private static func vectors(
    _ pieces: ArraySlice<Data>, behind sent: Int, _ before: [iovec],
    _ body: (UnsafeMutableBufferPointer<iovec>) -> Int
  ) -> Int {
    guard let piece = pieces.first else {
      var vectors = before
      return vectors.withUnsafeMutableBufferPointer { body($0) }
    }
    return piece.withUnsafeBytes { bytes in
      let skipped = min(sent, bytes.count)
      let vector = iovec(
        iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress.map { $0 + skipped }),
        iov_len: bytes.count - skipped)
      return vectors(
        pieces.dropFirst(), behind: sent - skipped, vector.iov_len > 0 ? before + [vector] : before, body)
    }
  }
}

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
