import Engine
import Foundation
import Testing

struct TrainingThreadTests {
  private struct Failure: Error {}

  /// Waits until `count` threads are here at once.
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

  /// More trainings than the machine has cores block at once: on the threads that tasks share they would
  /// wait for each other for ever.
  @Test(.timeLimit(.minutes(5))) func everyTrainingHasAThreadOfItsOwn() async throws {
    let count = 4 * ProcessInfo.processInfo.activeProcessorCount
    let barrier = Barrier(count)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<count {
        group.addTask { try await TrainingThread.run("a training") { barrier.wait() } }
      }
      try await group.waitForAll()
    }
  }

  @Test func passesFailuresOn() async {
    await #expect(throws: Failure.self) {
      try await TrainingThread.run("a failure") { throw Failure() }
    }
  }
}
