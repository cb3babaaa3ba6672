import Engine
import Foundation
import TestSupport
import Testing

struct TrainingThreadTests {
  private struct Failure: Error {}

  /// Waits until `count` threads have arrived.
  private final class Barrier: @unchecked Sendable {
    private let condition = NSCondition()
    private var missing: Int

    init(_ count: Int) { missing = count }

    func wait() {
      condition.lock()
      defer { condition.unlock() }
      missing -= 1
      condition.broadcast()
      while missing > 0 { condition.wait() }
    }
  }

  /// More trainings than cores block at once: on the shared threads of tasks they would wait for each other for ever.
  @Test(.unhurried) func everyTrainingHasAThreadOfItsOwn() async throws {
    let count = 4 * ProcessInfo.processInfo.activeProcessorCount
    let barrier = Barrier(count)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<count {
        group.addTask { try await TrainingThread.run("a training") { barrier.wait() } }
      }
      try await group.waitForAll()
    }
  }

  /// The thread continues, and no task waits for it.
  @Test(.unhurried) func aCancelledTaskLeavesItsThread() async throws {
    let (begins, ends) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let task = Task {
      try await TrainingThread.abandonable("a training") {
        begins.signal()
        ends.wait()
        return 1
      }
    }
    await withCheckedContinuation { continuation in
      Thread {
        begins.wait()
        continuation.resume()
      }.start()
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { _ = try await task.value }
    ends.signal()
    let late = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await TrainingThread.abandonable("never begun") { 1 }
    }
    late.cancel()
    await #expect(throws: CancellationError.self) { _ = try await late.value }
    #expect(try await TrainingThread.abandonable("a training") { 2 } == 2)
  }

  @Test func passesFailuresOn() async {
    await #expect(throws: Failure.self) {
      try await TrainingThread.run("a failure") { throw Failure() }
    }
  }
}
