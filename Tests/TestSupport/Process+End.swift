import Foundation

extension Process {
  /// Runs it to its end, and returns its exit code. The thread that asks is free meanwhile: tests share few of them.
  package func end() async throws -> Int32 {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do { try run() } catch { continuation.resume(throwing: error) }
      }
    } onCancel: {
      if isRunning { terminate() }
    }
  }
}
