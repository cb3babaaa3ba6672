import Synchronization

/// Limits unauthenticated connections, per address and in total, so that they cannot exhaust the server. If the total
/// is reached, a new connection replaces the one that has been silent longest: a client needs its place only for a
/// moment, and gets one however many others wait.
package final class ConnectionLimiter: Sendable {
  /// The maximum numbers of unauthenticated connections.
  package struct Limits: Sendable, Hashable {
    package var perAddress = 128
    package var total = 1024

    package init() {}
  }

  private struct State {
    var peers: [UInt64: (address: String, place: WeakPlace)] = [:]
    var byAddress: [String: Int] = [:]
    var arrivals: UInt64 = 0
    /// When each address was last logged.
    var told: [String: ContinuousClock.Instant] = [:]
  }

  private struct WeakPlace {
    weak var place: Place?
  }

  private let limits: Limits
  private let state = Mutex(State())

  package init(_ limits: Limits) { self.limits = limits }

  /// The place of an unauthenticated connection, held until the connection is authenticated or closed.
  package final class Place: Sendable {
    private let number: UInt64
    private let limiter: ConnectionLimiter
    private let hangUp: @Sendable () -> Void
    private let evicted = Mutex(false)
    private let (ending, end) = AsyncStream<Void>.makeStream()

    fileprivate init(_ number: UInt64, _ limiter: ConnectionLimiter, _ hangUp: @escaping @Sendable () -> Void)
    {
      (self.number, self.limiter, self.hangUp) = (number, limiter, hangUp)
    }

    deinit {
      limiter.leave(number)
      end.finish()
    }

    /// Releases the place; a second call has no effect.
    package func leave() { limiter.leave(number) }

    /// Releases the place and signals that the connection has ended and holds no resources.
    package func finish() {
      leave()
      end.finish()
    }

    /// Waits until the connection has ended.
    package func ended() async { for await _ in ending {} }

    /// Whether the place was given to another connection.
    package var isLost: Bool { evicted.withLock { $0 } }

    fileprivate func lose() {
      evicted.withLock { $0 = true }
      hangUp()
    }
  }

  /// The result for a new connection.
  package enum Answer {
    /// The connection is accepted; `evicted` has lost its place to it.
    case welcome(Place, evicted: Place?)
    /// The connection is rejected; `reason` is for the log, once a minute per address.
    case full(reason: String?)
  }

  /// Registers a connection from an address; `hangUp` closes it if its place is given to another.
  package func enter(_ address: String, hangUp: @escaping @Sendable () -> Void) -> Answer {
    let answer = state.withLock { state -> Answer in
      let here = state.byAddress[address] ?? 0
      guard here < limits.perAddress else { return .full(reason: reason(address, here, &state)) }
      var loser: Place?
      if state.peers.count >= limits.total, let oldest = state.peers.keys.min() {
        loser = state.peers[oldest]?.place.place
        Self.remove(oldest, &state)
      }
      state.arrivals += 1
      let place = Place(state.arrivals, self, hangUp)
      state.peers[state.arrivals] = (address, WeakPlace(place: place))
      state.byAddress[address, default: 0] += 1
      return .welcome(place, evicted: loser)
    }
    if case .welcome(_, let loser?) = answer { loser.lose() }
    return answer
  }

  private func reason(_ address: String, _ here: Int, _ state: inout State) -> String? {
    let now = ContinuousClock.now
    state.told = state.told.filter { $0.value + .seconds(60) > now }
    guard state.told[address] == nil else { return nil }
    state.told[address] = now
    return "\(here) connections from this address are unauthenticated"
  }

  private func leave(_ number: UInt64) { state.withLock { Self.remove(number, &$0) } }

  private static func remove(_ number: UInt64, _ state: inout State) {
    guard let address = state.peers.removeValue(forKey: number)?.address else { return }
    let left = (state.byAddress[address] ?? 1) - 1
    state.byAddress[address] = left > 0 ? left : nil
  }
}
