import Dispatch
import Engine
import Synchronization

/// Holds a training's thread between two steps, from any other.
package final class PauseGate: Sendable {
  private let state = Mutex((isClosed: false, isReleased: false))
  /// Says that the state has changed; who waits looks again.
  private let change = DispatchSemaphore(value: 0)

  package init() {}

  /// Whether ``wait(for:)`` waits for ``open()``.
  package var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Who waits from now on, waits until ``open()``.
  package func close() { state.withLock { $0.isClosed = true } }

  /// Who waits goes on.
  package func open() {
    state.withLock { $0.isClosed = false }
    change.signal()
  }

  /// Nobody waits any more: the work is not wanted.
  package func release() {
    state.withLock { $0.isReleased = true }
    change.signal()
  }

  /// Waits on the calling thread, of which there is one: for a time, and for as long as the gate is closed.
  package func wait(for pause: Duration = .zero) {
    let clock = ContinuousClock()
    let end = clock.now + pause
    while true {
      let (isClosed, isReleased) = state.withLock { $0 }
      let left = end - clock.now
      guard !isReleased, isClosed || left > .zero else { return }
      if isClosed {
        change.wait()
      } else {
        _ = change.wait(timeout: .now() + left.seconds)
      }
    }
  }
}
