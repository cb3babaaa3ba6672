import Engine
import Foundation

/// The clock, tasks and blocking threads of a server's coordinator and sessions. ``SystemRuntime`` uses those of the
/// system; the fault simulation implements them under virtual time and runs the same code.
package protocol ServerRuntime: Sendable {
  /// The time since a fixed moment; it never decreases.
  var now: Duration { get }
  /// The date, for records.
  var date: Date { get }
  /// Sleeps until a time. Throws `CancellationError` if the task is cancelled before.
  func sleep(until time: Duration) async throws
  /// Starts a detached task.
  @discardableResult func start(_ work: @escaping @Sendable () async -> Void) -> Task<Void, Never>
  /// Runs a computation on a new thread with the name `name`.
  func compute<Result: Sendable>(
    _ name: String, _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result
  /// Runs an access to the disk on one of a few threads that may block.
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
