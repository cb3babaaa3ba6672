import FlyingSocks
import Foundation

/// The poll loop of the process, and descriptions of socket errors.
package enum Network {
  static var pool: SocketPool<ePoll> {
    get async throws { try await loading.value }
  }

  /// A task, so that concurrent first users do not create the pool twice.
  private static let loading = Task<SocketPool<ePoll>, any Error> { try await load() }

  /// Creates a level-triggered poll loop. The shared loop of FlyingSocks is edge-triggered and loses a hang-up on a
  /// socket that started to wait during polling, so that a listener that was shut down would wait forever.
  private static func load() async throws -> SocketPool<ePoll> {
    let pool: SocketPool<ePoll> = .ePoll(triggering: .level, maxEvents: 64)
    try await pool.prepare()
    Task {
      do { try await pool.run() } catch { end(because: error) }
    }
    return pool
  }

  /// Connects to a host. `addresses` replace the addresses that the host's name resolves to. Throws
  /// ``WireError/address(_:reason:)``.
  static func connect(
    to endpoint: Endpoint, at addresses: [Endpoint]? = nil, limits: SocketLimits? = nil
  ) async throws(WireError) -> (AsyncSocket, SocketPool<ePoll>) {
    let addresses = try await self.addresses(of: endpoint, addresses)
    let pool: SocketPool<ePoll>
    do { pool = try await self.pool } catch { throw .address("\(endpoint)", reason: reason(error)) }
    let socket = try await HappyEyeballs(endpoint, addresses, limits: limits, pool: pool).connect()
    return (socket, pool)
  }

  /// Returns the addresses of the endpoint's host, or those of `named` if present.
  static func addresses(of endpoint: Endpoint, _ named: [Endpoint]?) async throws(WireError) -> [HostAddress]
  {
    guard let named else { return try await HostAddress.all(of: endpoint) }
    var all: [HostAddress] = []
    for address in named { all += try await HostAddress.all(of: address) }
    return all
  }

  /// Frees a descriptor that no task waits for.
  ///
  /// The pool wakes a waiter before it removes the descriptor from its list. A descriptor closed in between would
  /// remain in the list, and waiting for the next socket with this number would fail.
  static func close(_ socket: Socket, _ pool: SocketPool<ePoll>) async {
    await pool.settle()
    try? socket.close()
  }

  /// Returns the number of bytes that the other end has not acknowledged.
  static func unacknowledged(_ socket: Socket) -> Int { count(socket, UInt(TIOCOUTQ)) }

  /// Returns the number of received bytes that are unread.
  static func unread(_ socket: Socket) -> Int { count(socket, UInt(FIONREAD)) }

  private static func count(_ socket: Socket, _ request: UInt) -> Int {
    var count: Int32 = 0
    return ioctl(socket.file.rawValue, request, &count) == 0 ? Int(count) : 0
  }

  /// Makes the kernel discard unacknowledged data when the socket is closed.
  static func forgetUnsent(_ socket: Socket) {
    var none = linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket.file.rawValue, SOL_SOCKET, SO_LINGER, &none, socklen_t(MemoryLayout<linger>.size))
  }

  /// The exit code if the poll loop fails: EX_OSERR of sysexits.
  package static let exitCode: Int32 = 71

  /// Ends the process. Without the poll loop, all tasks that wait for a socket would wait forever. A supervisor can
  /// restart the process; nothing is lost that a power failure would keep.
  private static func end(because error: any Error) -> Never {
    let line =
      "\(ProcessInfo.processInfo.processName): the system cannot wait for sockets: \(reason(error))\n"
    // Does not block if standard error cannot be written.
    var place = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    if poll(&place, 1, 0) == 1, place.revents == Int16(POLLOUT) {
      _ = write(STDERR_FILENO, line, line.utf8.count)
    }
    _exit(exitCode)
  }

  static func shutDown(_ descriptor: Int32) -> Int32 { shutdown(descriptor, Int32(SHUT_RDWR)) }

  static func finish(_ descriptor: Int32) -> Int32 { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Sends small messages immediately, instead of waiting for acknowledgements of earlier ones.
  static func sendAtOnce(_ socket: Socket) {
    try? socket.setValue(1, for: Int32SocketOption(level: Int32(IPPROTO_TCP), name: TCP_NODELAY))
  }

  /// Returns a short description of a socket's error.
  static func reason(_ error: any Error) -> String {
    switch error as? SocketError {
    case .failed(_, EADDRINUSE, _): "the port is in use"
    case .failed(_, ECONNREFUSED, _): "nothing listens there"
    case .failed(_, ETIMEDOUT, _): "no answer"
    case .failed(_, _, let message): message
    case .disconnected: "the connection was closed"
    case .timeout: "no answer"
    case .unsupportedAddress: "an address of a kind that is not supported"
    case .blocked, nil: "\(error)"
    }
  }
}

extension SocketPool {
  /// Returns once the pool has finished its current operation.
  fileprivate func settle() {}
}
