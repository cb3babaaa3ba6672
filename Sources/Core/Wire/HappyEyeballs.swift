import FlyingSocks
import Foundation

/// Connects to the first of a host's addresses that answers: Happy Eyeballs Version 2 (RFC 8305). An unreachable
/// address does not prevent a connection to the others.
struct HappyEyeballs: Sendable {
  private let endpoint: Endpoint
  /// The addresses in the order of attempts.
  private let addresses: [HostAddress]
  private let limits: SocketLimits?
  private let pool: SocketPool<ePoll>

  /// The time after which the next address is tried in parallel (section 8: the recommended Connection Attempt Delay).
  private static let delay = Duration.milliseconds(250)
  /// The timeout of each attempt.
  private static var patience: Duration { .seconds(WireLimits.helloSeconds) }

  init(_ endpoint: Endpoint, _ addresses: [HostAddress], limits: SocketLimits?, pool: SocketPool<ePoll>) {
    (self.endpoint, self.limits, self.pool) = (endpoint, limits, pool)
    self.addresses = Self.interleaved(addresses)
  }

  /// Returns the addresses of the two families alternately, starting with that of the first (section 4), in order
  /// within each family.
  static func interleaved(_ addresses: [HostAddress]) -> [HostAddress] {
    let isFirstIPv6 = addresses.first?.isIPv6 ?? false
    let families = [
      addresses.filter { $0.isIPv6 == isFirstIPv6 }, addresses.filter { $0.isIPv6 != isFirstIPv6 },
    ]
    return (0..<addresses.count).flatMap { index in
      families.compactMap { index < $0.count ? $0[index] : nil }
    }
  }

  private enum Event: Sendable {
    case connected(AsyncSocket)
    case failed(String)
    /// The delay after the attempt with this number has passed.
    case elapsed(Int)
  }

  /// Throws ``WireError/address(_:reason:)`` with the error of each address.
  func connect() async throws(WireError) -> AsyncSocket {
    let result = await withTaskGroup(of: Event.self) { group -> Result<AsyncSocket, WireError> in
      var (begun, failures) = (0, [String]())
      var winner: AsyncSocket?
      func begin() {
        guard winner == nil, begun < addresses.count else { return }
        let number = begun
        begun += 1
        group.addTask { await attempt(addresses[number]) }
        guard begun < addresses.count else { return }
        group.addTask {
          try? await Task.sleep(for: Self.delay)
          return .elapsed(number)
        }
      }
      begin()
      for await event in group {
        switch event {
        case .connected(let socket):
          if winner == nil { winner = socket } else { await Network.close(socket.socket, pool) }
        case .failed(let reason):
          failures.append(reason)
          begin()
        case .elapsed(let number): if number == begun - 1 { begin() }
        }
        if winner != nil || failures.count == addresses.count { group.cancelAll() }
      }
      if let winner { return .success(winner) }
      return .failure(.address("\(endpoint)", reason: failures.joined(separator: "; ")))
    }
    return try result.get()
  }

  private func attempt(_ address: HostAddress) async -> Event {
    do {
      return .connected(try await connected(to: address.socketAddress))
    } catch {
      let reason = Network.reason(error)
      let isNamed = address.endpoint.host != endpoint.host
      return .failed(isNamed ? "\(address.endpoint.host): \(reason)" : reason)
    }
  }

  private func connected(to address: some SocketAddress) async throws -> AsyncSocket {
    let socket = try Socket(domain: Int32(type(of: address).family), type: .stream)
    do {
      try limits?.apply(to: socket)
      let connecting = try AsyncSocket(socket: socket, pool: pool)
      do { try socket.connect(to: address) } catch SocketError.blocked { try await answer(socket) }
      return connecting
    } catch {
      await Network.close(socket, pool)
      throw error
    }
  }

  /// Waits until a connection attempt completes, and throws the socket's error if it fails.
  private func answer(_ socket: Socket) async throws {
    let waiting: Result<Void, any Error>
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        defer { group.cancelAll() }
        group.addTask { try await pool.suspendSocket(socket, untilReadyFor: [.write]) }
        group.addTask {
          try await Task.sleep(for: Self.patience)
          throw SocketError.timeout(message: "")
        }
        try await group.next()
      }
      waiting = .success(())
    } catch {
      waiting = .failure(error)
    }
    let number = try socket.getValue(for: Int32SocketOption(name: SO_ERROR))
    guard number == 0 else {
      throw SocketError.failed(type: "Connect", errno: number, message: String(cString: strerror(number)))
    }
    try waiting.get()
  }
}
