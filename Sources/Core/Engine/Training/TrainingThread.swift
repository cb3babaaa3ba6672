import Foundation

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
}
