import Engine
import Foundation

/// What a server's coordinator and sessions run on: a clock, tasks, and threads that may block. Live it is the system's
/// (``SystemRuntime``); the fault simulation has one of its own, so that it runs the same code under virtual time.
package protocol ServerRuntime: Sendable {
  /// The time since some moment; it never goes back.
  var now: Duration { get }
  /// The date, for records.
  var date: Date { get }
  /// Returns at a time. Throws `CancellationError` where the task is cancelled before.
  func sleep(until time: Duration) async throws
  /// Starts a task that nothing waits for.
  @discardableResult func start(_ work: @escaping @Sendable () async -> Void) -> Task<Void, Never>
  /// Computes on a thread of its own, which has the name `name`.
  func compute<Result: Sendable>(
    _ name: String, _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result
  /// Does what waits for the disk on one of a few threads that may wait.
  func access<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result
}

/// The system's clocks and threads.
package struct SystemRuntime: ServerRuntime {
  private let start = ContinuousClock.now
  private let files = OperationQueue()

  package init() { files.maxConcurrentOperationCount = 8 }

  package var now: Duration { .now - start }
  package var date: Date { Date() }

  package func sleep(until time: Duration) async throws {
    try await Task.sleep(until: start + time, clock: .continuous)
  }

  package func start(_ work: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
    Task { await work() }
  }

  package func compute<Result: Sendable>(
    _ name: String, _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await TrainingThread.run(name, body)
  }

  package func access<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      files.addOperation { continuation.resume(with: Swift.Result { try body() }) }
    }
  }
}
