import FlyingSocks
import Foundation

/// What frames travel on: a socket, with or without TLS on it. Nothing here waits.
protocol ByteStream {
  /// Reads some bytes into the buffer, which is not empty. Returns how many.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(StreamError) -> Int

  /// Writes some bytes from an index on. Returns the index behind them.
  mutating func write(_ bytes: Data, from index: Data.Index) throws(StreamError) -> Data.Index

  /// Bytes that went through the socket so far.
  var counts: (received: Int, sent: Int) { get }
}

/// Why nothing was read or written.
enum StreamError: Error {
  /// Not before the socket is ready for this.
  case blocked(Socket.Event)
  case closed
  /// TLS ended it, and why.
  case tls(String)
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

  mutating func write(_ bytes: Data, from index: Data.Index) throws(StreamError) -> Data.Index {
    do {
      let next = try socket.write(bytes, from: index)
      counts.sent += next - index
      return next
    } catch SocketError.blocked {
      throw .blocked(.write)
    } catch {
      throw .closed
    }
  }
}
