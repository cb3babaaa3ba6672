import FlyingSocks
import Foundation
import Synchronization

/// Listens on a port at all local addresses of a host, and returns accepted connections.
package final class Listener: Sendable {
  /// The endpoint with the chosen port.
  package let endpoint: Endpoint
  /// The addresses on which it listens.
  package let addresses: [Endpoint]
  /// The addresses of the host that this machine does not have.
  package let elsewhere: [Endpoint]
  private let sockets: [AsyncSocket]
  /// The index of the socket that is checked first for a connection; it rotates, so that no socket starves.
  private let turn = Atomic(0)

  /// Binds and listens. Throws ``WireError/address(_:reason:)`` if the port is in use or not permitted.
  ///
  /// - Parameters:
  ///   - addresses: Replace the addresses that the host's name resolves to.
  ///   - limits: The limits of accepted sockets.
  package init(
    _ endpoint: Endpoint, at addresses: [Endpoint]? = nil, limits: SocketLimits? = nil
  ) async throws(WireError) {
    let addresses = try await Network.addresses(of: endpoint, addresses)
    let bound: Bound
    do {
      bound = try Self.listen(at: addresses, limits, try await Network.pool)
    } catch {
      throw .address("\(endpoint)", reason: Network.reason(error))
    }
    (sockets, self.addresses, elsewhere) = (bound.sockets, bound.addresses, bound.elsewhere)
    self.endpoint = Endpoint(host: endpoint.host, port: bound.addresses[0].port)
  }

  private struct Bound {
    var (sockets, addresses, elsewhere) = ([AsyncSocket](), [Endpoint](), [Endpoint]())
  }

  /// With port 0 the system chooses a port for the first address. If it is in use at another address, a new one is
  /// chosen.
  private static func listen(
    at addresses: [HostAddress], _ limits: SocketLimits?, _ pool: SocketPool<ePoll>
  ) throws -> Bound {
    for attempt in 1... {
      var bound = Bound()
      do {
        var missing: (any Error)?
        for address in addresses {
          do {
            let port = bound.addresses.first?.port ?? address.endpoint.port
            let (socket, chosen) = try listen(
              on: address.with(port: port).socketAddress, isOneOfMany: addresses.count > 1, limits, pool)
            bound.sockets.append(socket)
            bound.addresses.append(Endpoint(host: address.endpoint.host, port: chosen))
          } catch SocketError.failed(let type, let number, let message)
            where [EADDRNOTAVAIL, EAFNOSUPPORT].contains(number)
          {
            missing = SocketError.failed(type: type, errno: number, message: message)
            bound.elsewhere.append(address.endpoint)
          }
        }
        if bound.sockets.isEmpty, let missing { throw missing }
        return bound
      } catch {
        for socket in bound.sockets { try? socket.close() }
        guard case SocketError.failed(_, EADDRINUSE, _) = error, addresses[0].endpoint.port == 0,
          addresses.count > 1, attempt < mostAttempts
        else { throw error }
      }
    }
    preconditionFailure("numbers have no end")
  }

  private static let mostAttempts = 16

  private static func listen(
    on address: some SocketAddress, isOneOfMany: Bool, _ limits: SocketLimits?, _ pool: SocketPool<ePoll>
  ) throws -> (AsyncSocket, port: UInt16) {
    let socket = try Socket(domain: Int32(type(of: address).family), type: .stream)
    do {
      try socket.setValue(true, for: .localAddressReuse)
      // The IPv4 addresses of the host have separate sockets.
      if isOneOfMany && type(of: address).family == AF_INET6 {
        try socket.setValue(1, for: Int32SocketOption(level: Int32(IPPROTO_IPV6), name: IPV6_V6ONLY))
      }
      try limits?.apply(to: socket)
      try socket.bind(to: address)
      try socket.listen()
      let port: UInt16 =
        switch try socket.sockname() {
        case .ip4(_, let port), .ip6(_, let port): port
        case .unix: 0
        }
      return (try AsyncSocket(socket: socket, pool: pool), port)
    } catch {
      try? socket.close()
      throw error
    }
  }

  /// Accepts the next connection. `limit` is the initial maximum length of a frame; `tls` is called when a connection
  /// arrives. The caller performs the TLS handshake. Throws ``WireError/closed`` after ``shutDown()``.
  package func accept(limit: Int, tls: @Sendable () -> TLSContext? = { nil }) async throws(WireError)
    -> Connection
  {
    let (socket, pool) = try await accepted()
    do {
      return try Connection(socket, pool: pool, limit: limit, tls: tls(), isServer: true)
    } catch {
      try? socket.close()
      throw .address("\(endpoint)", reason: "\(error)")
    }
  }

  /// Accepts the next connection for bytes without message framing. Throws the errors of ``accept(limit:tls:)``.
  package func acceptBytes() async throws(WireError) -> ByteConnection {
    let (socket, pool) = try await accepted()
    return ByteConnection(socket, pool: pool)
  }

  private func accepted() async throws(WireError) -> (AsyncSocket, SocketPool<ePoll>) {
    do {
      let pool = try await Network.pool
      return (try await next(pool), pool)
    } catch {
      guard let error = error as? SocketError, case .failed(_, let number, _) = error else { throw .closed }
      // Too many open files, or a peer that gave up while queued: the listener remains usable.
      if [EMFILE, ENFILE, ECONNABORTED, ENOBUFS, ENOMEM, EPROTO].contains(number) {
        throw .address("\(endpoint)", reason: Network.reason(error))
      }
      throw .closed
    }
  }

  private func next(_ pool: SocketPool<ePoll>) async throws -> AsyncSocket {
    while true {
      let first = turn.wrappingAdd(1, ordering: .relaxed).oldValue % sockets.count
      for index in sockets.indices {
        let socket = sockets[(first + index) % sockets.count]
        do {
          return try AsyncSocket(socket: Socket(file: try socket.socket.accept().file), pool: pool)
        } catch SocketError.blocked {
          continue
        }
      }
      try await connection(pool)
    }
  }

  /// Waits for a connection at one of the addresses.
  private func connection(_ pool: SocketPool<ePoll>) async throws {
    guard sockets.count > 1 else {
      return try await pool.suspendSocket(sockets[0].socket, untilReadyFor: .connection)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { group.cancelAll() }
      for socket in sockets {
        group.addTask { try await pool.suspendSocket(socket.socket, untilReadyFor: .connection) }
      }
      try await group.next()
    }
  }

  /// Stops listening; a waiting ``accept(limit:tls:)`` throws.
  package func shutDown() { for socket in sockets { _ = Network.shutDown(socket.socket.file.rawValue) } }

  /// Frees the port. The accepting task calls it last.
  package func close() { for socket in sockets { try? socket.close() } }
}
