import Foundation
import Synchronization

/// Training takes minutes and never waits, so it gets a thread of its own: the threads that carry
/// heartbeats stay free.
package enum TrainingThread {
  /// Runs `body` on a new thread and returns what it returns.
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
  /// The same for a process that ends when its work is called off: where the task is cancelled this throws a
  /// `CancellationError` at once, and the thread is left to itself.
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

  /// Whoever waits for a thread, and hears one ending of two: the thread's or the cancellation.
  private final class Waiter<Result: Sendable>: Sendable {
    private let state = Mutex<(continuation: CheckedContinuation<Result, any Error>?, isOver: Bool)>(
      (nil, false))

    /// Returns false, and answers at once, where it is over before it begins.
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
