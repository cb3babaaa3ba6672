import FlyingSocks
import Foundation

/// The process's one poll loop, and words for what sockets report.
package enum Network {
  static var pool: SocketPool<ePoll> {
    get async throws { try await loading.value }
  }

  /// One task, so that the first users at once do not prepare the pool twice.
  private static let loading = Task<SocketPool<ePoll>, any Error> { try await load() }

  /// A loop of our own. FlyingSocks' shared one is told of each event once, and drops a hang-up on a socket that began
  /// to wait while the loop did: a listener that was shut down then would wait for ever. This one is told again.
  private static func load() async throws -> SocketPool<ePoll> {
    let pool: SocketPool<ePoll> = .ePoll(triggering: .level, maxEvents: 64)
    try await pool.prepare()
    Task {
      do { try await pool.run() } catch { end(because: error) }
    }
    return pool
  }

  /// Connects to a host: to its addresses, or those that are named in their place. Throws
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

  /// The addresses of an endpoint's host, or of those that are named in its place.
  static func addresses(of endpoint: Endpoint, _ named: [Endpoint]?) async throws(WireError) -> [HostAddress]
  {
    guard let named else { return try await HostAddress.all(of: endpoint) }
    var all: [HostAddress] = []
    for address in named { all += try await HostAddress.all(of: address) }
    return all
  }

  /// Frees a descriptor that nobody waits for any more.
  ///
  /// The pool wakes a waiter before it takes the descriptor out of its list; one that was closed in between would stay
  /// there, and the next socket of its number be waited for in vain.
  static func close(_ socket: Socket, _ pool: SocketPool<ePoll>) async {
    await pool.settle()
    try? socket.close()
  }

  /// Bytes that the other end has not acknowledged.
  static func unacknowledged(_ socket: Socket) -> Int { count(socket, UInt(TIOCOUTQ)) }

  /// Bytes that have come and are not read yet.
  static func unread(_ socket: Socket) -> Int { count(socket, UInt(FIONREAD)) }

  private static func count(_ socket: Socket, _ request: UInt) -> Int {
    var count: Int32 = 0
    return ioctl(socket.file.rawValue, request, &count) == 0 ? Int(count) : 0
  }

  /// What is not acknowledged when the socket is closed is thrown away.
  static func forgetUnsent(_ socket: Socket) {
    var none = linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket.file.rawValue, SOL_SOCKET, SO_LINGER, &none, socklen_t(MemoryLayout<linger>.size))
  }

  /// The exit code of a process that no socket serves any more: sysexits' EX_OSERR.
  package static let exitCode: Int32 = 71

  /// Without its poll loop nothing in the process hears of any socket again, and all that waits for one would wait for
  /// ever. Whoever started the process can start it again; nothing is lost that a power cut would not take.
  private static func end(because error: any Error) -> Never {
    let line =
      "\(ProcessInfo.processInfo.processName): the system does not tell of sockets any more: \(reason(error))\n"
    // Nobody is waited for who does not read it.
    var place = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    if poll(&place, 1, 0) == 1, place.revents == Int16(POLLOUT) {
      _ = write(STDERR_FILENO, line, line.utf8.count)
    }
    _exit(exitCode)
  }

  static func shutDown(_ descriptor: Int32) -> Int32 { shutdown(descriptor, Int32(SHUT_RDWR)) }

  static func finish(_ descriptor: Int32) -> Int32 { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Small messages are answered at once; without this they wait for each other's acknowledgements.
  static func sendAtOnce(_ socket: Socket) {
    try? socket.setValue(1, for: Int32SocketOption(level: Int32(IPPROTO_TCP), name: TCP_NODELAY))
  }

  /// A socket's error in a few words.
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
  /// Returns when the pool has done what it was at.
  fileprivate func settle() {}
}
