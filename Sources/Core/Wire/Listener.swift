import FlyingSocks
import Foundation

/// Listens on a port and hands out connections.
package final class Listener: Sendable {
  /// Where it listens, with the port that was chosen.
  package let endpoint: Endpoint
  private let socket: AsyncSocket

  /// Binds and listens. Throws ``WireError/address(_:reason:)`` where the port is taken or not allowed.
  ///
  /// - Parameter limits: of the sockets that are accepted.
  package init(_ endpoint: Endpoint, limits: SocketLimits? = nil) async throws(WireError) {
    let address = try endpoint.resolve()
    do {
      let pool = try await Network.pool
      (socket, self.endpoint) = try Self.listen(on: address, endpoint, limits, pool)
    } catch {
      throw .address("\(endpoint)", reason: Network.reason(error))
    }
  }

  private static func listen(
    on address: some SocketAddress, _ endpoint: Endpoint, _ limits: SocketLimits?,
    _ pool: some AsyncSocketPool
  ) throws -> (AsyncSocket, Endpoint) {
    let socket = try Socket(domain: Int32(type(of: address).family), type: .stream)
    do {
      try socket.setValue(true, for: .localAddressReuse)
      try limits?.apply(to: socket)
      try socket.bind(to: address)
      try socket.listen()
      let bound =
        switch try socket.sockname() {
        case .ip4(_, let port), .ip6(_, let port): Endpoint(host: endpoint.host, port: port)
        case .unix: endpoint
        }
      return (try AsyncSocket(socket: socket, pool: pool), bound)
    } catch {
      try? socket.close()
      throw error
    }
  }

  /// The next connection; `limit` is the longest frame that it takes at first, and `tls`
  /// is asked when the connection is there. The handshake
  /// of TLS is for whoever serves it to do. Throws ``WireError/closed`` once ``shutDown()`` was called.
  package func accept(limit: Int, tls: @Sendable () -> TLSContext? = { nil }) async throws(WireError)
    -> Connection
  {
    try await accepted { try Connection($0, pool: $1, limit: limit, tls: tls(), isServer: true) }
  }

  /// The next connection, of which nothing is known but its bytes. Throws as ``accept(limit:tls:)`` does.
  package func acceptBytes() async throws(WireError) -> ByteConnection {
    try await accepted { ByteConnection($0, pool: $1) }
  }

  private func accepted<End>(
    _ end: (AsyncSocket, any AsyncSocketPool) throws -> End
  ) async throws(WireError) -> End {
    do {
      return try end(try await socket.accept(), try await Network.pool)
    } catch {
      guard let error = error as? SocketError, case .failed(_, let number, _) = error else { throw .closed }
      // Too many open files, or a peer that gave up in the queue: the listener itself is well.
      if [EMFILE, ENFILE, ECONNABORTED, ENOBUFS, ENOMEM, EPROTO].contains(number) {
        throw .address("\(endpoint)", reason: Network.reason(error))
      }
      throw .closed
    }
  }

  /// Stops listening: a waiting ``accept(limit:)`` throws.
  package func shutDown() { _ = Network.shutDown(socket.socket.file.rawValue) }

  /// Frees the port. The accepting task calls it last.
  package func close() { try? socket.close() }
}
