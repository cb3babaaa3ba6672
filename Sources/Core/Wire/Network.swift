import FlyingSocks
import Foundation

/// The process's one poll loop, and words for what sockets report.
package enum Network {
  static var pool: any AsyncSocketPool {
    get async throws { try await loading.value }
  }

  /// One task, so that the first users at once do not prepare the pool twice.
  private static let loading = Task<any AsyncSocketPool, any Error> { try await load() }

  /// A loop of our own. FlyingSocks' shared one is told of each event once, and drops a hang-up on a socket that began
  /// to wait while the loop did: a listener that was shut down then would wait for ever. This one is told again.
  private static func load() async throws -> any AsyncSocketPool {
    let pool: SocketPool<ePoll> = .ePoll(triggering: .level, maxEvents: 64)
    try await pool.prepare()
    Task {
      do { try await pool.run() } catch { end(because: error) }
    }
    return pool
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

  /// Why nobody could be connected to.
  static func unreachable(_ endpoint: Endpoint, _ error: any Error) -> WireError {
    let isRefused = (error as? SocketError) == .disconnected
    return .address("\(endpoint)", reason: isRefused ? "nothing listens there" : reason(error))
  }

  /// A socket's error in a few words.
  static func reason(_ error: any Error) -> String {
    switch error as? SocketError {
    case .failed(_, let number, let message):
      number == EADDRINUSE ? "the port is in use" : message
    case .disconnected: "the connection was closed"
    case .timeout: "no answer"
    case .unsupportedAddress: "an address of a kind that is not supported"
    case .blocked, nil: "\(error)"
    }
  }
}
