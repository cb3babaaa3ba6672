import FlyingSocks
import Foundation

/// Connects to whichever of a host's addresses answers first: Happy Eyeballs Version 2 (RFC 8305). A host that has an
/// address which leads nowhere is reached by its others.
struct HappyEyeballs: Sendable {
  private let endpoint: Endpoint
  /// In the order in which they are tried.
  private let addresses: [HostAddress]
  private let limits: SocketLimits?
  private let pool: SocketPool<ePoll>

  /// After so long without an answer the next address is tried beside those before (section 8: the recommended Connection
  /// Attempt Delay).
  private static let delay = Duration.milliseconds(250)
  /// For so long each of them may be silent.
  private static var patience: Duration { .seconds(WireLimits.helloSeconds) }

  init(_ endpoint: Endpoint, _ addresses: [HostAddress], limits: SocketLimits?, pool: SocketPool<ePoll>) {
    (self.endpoint, self.limits, self.pool) = (endpoint, limits, pool)
    self.addresses = Self.interleaved(addresses)
  }

  /// The two families by turns, beginning with that of the first (section 4), each in its order.
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
    /// The address of this number has had its time alone.
    case elapsed(Int)
  }

  /// Throws ``WireError/address(_:reason:)`` with what is wrong with each address.
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

  /// Waits for what becomes of a connection, and throws what the socket says of it.
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
