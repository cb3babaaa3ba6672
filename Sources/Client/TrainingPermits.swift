import Foundation

/// How many clients of a process may train at once: those that wait hold no trainer.
package actor TrainingPermits {
  private var free: Int
  private var waiters: [CheckedContinuation<Void, Never>] = []

  package init(_ count: Int) {
    precondition(count >= 1, "\(count) permits")
    free = count
  }

  /// Runs `body` when a permit is free; first come, first served.
  package func withPermit<Result: Sendable>(
    _ body: @Sendable () async throws -> Result
  ) async rethrows -> Result {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiters.append($0) }
    }
    defer {
      if waiters.isEmpty {
        free += 1
      } else {
        waiters.removeFirst().resume()
      }
    }
    return try await body()
  }
}
