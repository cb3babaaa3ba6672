import FlyingSocks
import Foundation

/// What frames travel on: a socket, with or without TLS on it. Nothing here waits.
protocol ByteStream {
  /// Some bytes, at most so many.
  mutating func read(atMost count: Int) throws(StreamError) -> [UInt8]

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

  mutating func read(atMost count: Int) throws(StreamError) -> [UInt8] {
    do {
      let bytes = try socket.read(atMost: count)
      counts.received += bytes.count
      return bytes
    } catch SocketError.blocked {
      throw .blocked(.read)
    } catch {
      throw .closed
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
