import FlyingSocks
import Foundation
import Synchronization

/// The transport of frames: a socket, with or without TLS. Its methods do not block.
protocol ByteStream {
  /// Reads bytes into the buffer, which is not empty. Returns their number.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(StreamError) -> Int

  /// Writes bytes of consecutive pieces after the first `sent`, which are fewer than all. Returns the number of bytes
  /// written.
  mutating func write(_ pieces: [Data], behind sent: Int) throws(StreamError) -> Int

  /// The number of bytes that the socket has carried so far.
  var counts: (received: Int, sent: Int) { get }
}

/// The reason why nothing was read or written.
enum StreamError: Error {
  /// The socket is not ready for this event yet.
  case blocked(Socket.Event)
  case closed
  /// TLS failed, with the reason.
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
      // One call for all pieces, which separate calls would send in separate segments.
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

  /// Calls `body` with the addresses and lengths of the pieces, without the first `sent` bytes.
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

/// One end of a TCP connection for bytes without message framing, such as in a proxy.
///
/// One task may read while another writes.
package final class ByteConnection: Sendable {
  private let socket: Socket
  private let pool: SocketPool<ePoll>
  private let isClosed = Atomic(false)

  init(_ socket: AsyncSocket, pool: SocketPool<ePoll>) {
    (self.socket, self.pool) = (socket.socket, pool)
    Network.sendAtOnce(socket.socket)
  }

  /// Connects to a host. `addresses` replace the addresses that the host's name resolves to. Throws
  /// ``WireError/address(_:reason:)``.
  package static func connect(
    to endpoint: Endpoint, at addresses: [Endpoint]? = nil, limits: SocketLimits? = nil
  ) async throws(WireError) -> ByteConnection {
    let (socket, pool) = try await Network.connect(to: endpoint, at: addresses, limits: limits)
    return ByteConnection(socket, pool: pool)
  }

  /// Returns the next bytes, at least one and at most `count`, and whether reading had to wait. Throws
  /// ``WireError/closed`` at the end, and if the reading task is cancelled while it waits.
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

  /// Writes all bytes. Throws ``WireError/closed`` if the other end has closed, or if the task is cancelled while it
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

  /// Closes the writing direction; reading continues.
  package func finish() { _ = Network.finish(socket.file.rawValue) }

  /// Frees the descriptor once no task uses it; a second call has no effect. Unread data from the other end is lost.
  package func close() {
    // By the second call, another socket may have this descriptor.
    guard !isClosed.exchange(true, ordering: .relaxed) else { return }
    Task { [socket, pool] in await Network.close(socket, pool) }
  }
}
