import Foundation
import UnixSignals

/// Runs `body`; at the first SIGINT or SIGTERM `stop` is called, and `body` is expected to end soon. A second
/// SIGINT ends the process at once, a second SIGTERM changes nothing.
package func stoppingOnSignal<Result: Sendable>(
  _ stop: @escaping @Sendable () async -> Void, _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  // The trap is set before the body starts: a signal that comes early is not lost.
  let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
  return try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask {
      var isStopping = false
      for await signal in signals {
        // Whoever asks once more at the keyboard does not want to wait; a service manager's repetition is none.
        if isStopping && signal == .sigint { _exit(130) }
        if !isStopping { await stop() }
        isStopping = true
      }
      return nil
    }
    group.addTask { try await body() }
    defer { group.cancelAll() }
    while let result = try await group.next() {
      if let result { return result }
    }
    preconditionFailure("the body ended without a result")
  }
}
