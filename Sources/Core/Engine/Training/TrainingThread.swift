import Foundation
import Synchronization

/// Runs training on a separate thread. Training takes minutes without suspending, and must not block the threads that
/// send heartbeats.
package enum TrainingThread {
  /// Runs `body` on a new thread and returns its result.
  package static func run<Result: Sendable>(
    _ name: String, _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
      thread.name = name
      thread.stackSize = 1 << 20
      thread.start()
    }
  }
  /// Runs `body` on a new thread, for a process that exits when its work is cancelled: if the task is cancelled, this
  /// throws `CancellationError` immediately and abandons the thread.
  package static func abandonable<Result: Sendable>(
    _ name: String, _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    let waiter = Waiter<Result>()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        guard waiter.wait(continuation) else { return }
        let thread = Thread { waiter.end(Swift.Result { try body() }) }
        thread.name = name
        thread.stackSize = 1 << 20
        thread.start()
      }
    } onCancel: {
      waiter.end(.failure(CancellationError()))
    }
  }

  /// Resumes a continuation once, with the result of the thread or with cancellation.
  private final class Waiter<Result: Sendable>: Sendable {
    private let state = Mutex<(continuation: CheckedContinuation<Result, any Error>?, isOver: Bool)>(
      (nil, false))

    /// Stores the continuation. If the wait has already ended, resumes it with an error and returns false.
    func wait(_ continuation: CheckedContinuation<Result, any Error>) -> Bool {
      let isOver = state.withLock { state in
        if !state.isOver { state.continuation = continuation }
        return state.isOver
      }
      if isOver { continuation.resume(throwing: CancellationError()) }
      return !isOver
    }

    func end(_ result: Swift.Result<Result, any Error>) {
      let continuation = state.withLock { state in
        state.isOver = true
        defer { state.continuation = nil }
        return state.continuation
      }
      continuation?.resume(with: result)
    }
  }
}
