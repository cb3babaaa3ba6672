import FlyingSocks
import Foundation

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
