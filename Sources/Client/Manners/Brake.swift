import Dispatch
import Engine
import Synchronization

/// Holds a training's thread between two steps, from any other.
package final class Brake: Sendable {
  private let state = Mutex((isHeld: false, isReleased: false))
  /// Says that the state has changed; who waits looks again.
  private let change = DispatchSemaphore(value: 0)

  package init() {}

  /// Whether ``wait(for:)`` waits for ``letGo()``.
  package var isHeld: Bool { state.withLock { $0.isHeld } }

  /// Who waits from now on, waits until ``letGo()``.
  package func hold() { state.withLock { $0.isHeld = true } }

  /// Who waits goes on.
  package func letGo() {
    state.withLock { $0.isHeld = false }
    change.signal()
  }

  /// Nobody waits any more: the work is not wanted.
  package func release() {
    state.withLock { $0.isReleased = true }
    change.signal()
  }

  /// Waits on the calling thread, of which there is one: for a time, and for as long as the brake is held.
  package func wait(for pause: Duration = .zero) {
    let clock = ContinuousClock()
    let end = clock.now + pause
    while true {
      let (isHeld, isReleased) = state.withLock { $0 }
      let left = end - clock.now
      guard !isReleased, isHeld || left > .zero else { return }
      if isHeld {
        change.wait()
      } else {
        _ = change.wait(timeout: .now() + left.seconds)
      }
    }
  }
}
