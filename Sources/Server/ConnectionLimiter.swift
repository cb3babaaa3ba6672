import Synchronization

/// Connections that have not said who they are: only so many at once from one address, and in all, so that
/// unauthenticated peers cannot fill the server. Where all places are taken the one who has been silent longest goes:
/// a client needs its place for a moment only, and finds one however many others wait.
package final class ConnectionLimiter: Sendable {
  /// How many unauthenticated peers a server accepts.
  package struct Limits: Sendable, Hashable {
    package var perAddress = 128
    package var total = 1024

    package init() {}
  }

  private struct State {
    var peers: [UInt64: (address: String, place: WeakPlace)] = [:]
    var byAddress: [String: Int] = [:]
    var arrivals: UInt64 = 0
    /// When an address was last named in the log.
    var told: [String: ContinuousClock.Instant] = [:]
  }

  private struct WeakPlace {
    weak var place: Place?
  }

  private let limits: Limits
  private let state = Mutex(State())

  package init(_ limits: Limits) { self.limits = limits }

  /// A place among the unauthenticated connections, held until its connection is known or gone.
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

    /// Gives the place back; a second time does nothing.
    package func leave() { limiter.leave(number) }

    /// Its connection has ended, and holds nothing any more.
    package func finish() {
      leave()
      end.finish()
    }

    /// Returns when its connection has ended.
    package func ended() async { for await _ in ending {} }

    /// Whether somebody else was given the place.
    package var isLost: Bool { evicted.withLock { $0 } }

    fileprivate func lose() {
      evicted.withLock { $0 = true }
      hangUp()
    }
  }

  /// What becomes of a new connection.
  package enum Answer {
    /// `evicted` has lost its place to the new connection.
    case welcome(Place, evicted: Place?)
    /// It is turned away; `reason` is for the log, once a minute and address.
    case full(reason: String?)
  }

  /// A connection comes from an address; `hangUp` ends it where its place is given to another.
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
    return "\(here) connections from there have not said who they are"
  }

  private func leave(_ number: UInt64) { state.withLock { Self.remove(number, &$0) } }

  private static func remove(_ number: UInt64, _ state: inout State) {
    guard let address = state.peers.removeValue(forKey: number)?.address else { return }
    let left = (state.byAddress[address] ?? 1) - 1
    state.byAddress[address] = left > 0 ? left : nil
  }
}
