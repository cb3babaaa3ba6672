import Synchronization

/// Connections that have not said who they are: only so many at once from one address, and in all, so that
/// strangers cannot fill the server.
package final class Doorstep: Sendable {
  /// What a server bears of strangers.
  package struct Limits: Sendable, Hashable {
    package var perAddress = 128
    package var total = 1024

    package init() {}
  }

  private let limits: Limits
  private let state = Mutex((byAddress: [String: Int](), total: 0, told: [String: ContinuousClock.Instant]()))

  package init(_ limits: Limits) { self.limits = limits }

  /// A place on the doorstep, held until its connection is known or gone.
  package final class Place: Sendable {
    private let leaving: Mutex<(@Sendable () -> Void)?>

    fileprivate init(_ leave: @escaping @Sendable () -> Void) { leaving = Mutex(leave) }

    deinit { leave() }

    /// Gives the place back; a second time does nothing.
    package func leave() {
      let leave = leaving.withLock { leaving in
        defer { leaving = nil }
        return leaving
      }
      leave?()
    }
  }

  /// What becomes of a new connection.
  package enum Answer {
    case welcome(Place)
    /// It is turned away; `reason` is for the log, once a minute and address.
    case full(reason: String?)
  }

  package func enter(_ address: String) -> Answer {
    let refusal: (reason: String?, isFull: Bool) = state.withLock { state in
      let here = state.byAddress[address] ?? 0
      guard here < limits.perAddress, state.total < limits.total else {
        let now = ContinuousClock.now
        state.told = state.told.filter { $0.value + .seconds(60) > now }
        guard state.told[address] == nil else { return (nil, true) }
        state.told[address] = now
        return ("\(here) connections from there, and \(state.total) in all, have not said who they are", true)
      }
      state.byAddress[address] = here + 1
      state.total += 1
      return (nil, false)
    }
    guard !refusal.isFull else { return .full(reason: refusal.reason) }
    return .welcome(Place { [weak self] in self?.leave(address) })
  }

  private func leave(_ address: String) {
    state.withLock { state in
      let left = (state.byAddress[address] ?? 1) - 1
      state.byAddress[address] = left > 0 ? left : nil
      state.total -= 1
    }
  }
}
