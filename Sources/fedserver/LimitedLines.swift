import Foundation
import Support
import Synchronization

/// Log lines that anybody can cause who reaches the port: ten at once and one a second after that, whoever they are
/// about. Of the others their number is said, as soon as there is a line for it.
final class LimitedLines: Sendable {
  private struct State {
    var bucket = TokenBucket(burst: 10, perSecond: 1)
    var suppressed = 0
    /// Says the number when it is time.
    var summary: Task<Void, Never>?
  }

  private let state = Mutex(State())
  private let write: @Sendable (String) -> Void
  private let start = ContinuousClock.now

  init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

  /// Writes a line, or counts it.
  func line(_ text: String) {
    let isWritten = state.withLock { state in
      // While some wait to be counted the next line is their number.
      guard state.summary == nil, state.bucket.take(at: now) else {
        state.suppressed += 1
        if state.summary == nil { state.summary = summary(after: state.bucket.wait(at: now)) }
        return false
      }
      return true
    }
    if isWritten { write(text) }
  }

  /// Says what has not been said yet.
  func end() { sum(isOver: true) }

  private var now: Duration { ContinuousClock.now - start }

  private func summary(after pause: Duration) -> Task<Void, Never> {
    Task {
      do { try await Task.sleep(for: pause) } catch { return }
      self.sum(isOver: false)
    }
  }

  private func sum(isOver: Bool) {
    let count = state.withLock { state in
      state.summary?.cancel()
      state.summary = nil
      guard state.suppressed > 0 else { return 0 }
      guard state.bucket.take(at: now) || isOver else {
        state.summary = summary(after: state.bucket.wait(at: now))
        return 0
      }
      defer { state.suppressed = 0 }
      return state.suppressed
    }
    if count > 0 { write("\(count) more \(count == 1 ? "connection was" : "connections were") turned away") }
  }
}
