import Foundation

extension Process {
  /// Runs the process to its end. Returns its exit code. Does not block the calling thread, since tests share few of
  /// them.
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
