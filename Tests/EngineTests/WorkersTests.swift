import Engine
import Foundation
import Testing

@Suite struct WorkersTests {
  /// Records of tasks and workers; each task writes only its elements.
  private final class Marks: @unchecked Sendable {
    let runs: UnsafeMutableBufferPointer<Int>
    let workers: UnsafeMutableBufferPointer<Int>

    init(_ tasks: Int) {
      runs = .allocate(capacity: tasks)
      workers = .allocate(capacity: tasks)
      runs.initialize(repeating: 0)
      workers.initialize(repeating: -1)
    }

    deinit {
      runs.deallocate()
      workers.deallocate()
    }
  }

  @Test(arguments: 1...5) func everyTaskRunsOnce(count: Int) {
    let workers = Workers(count)
    for tasks in [0, 1, 2, 3, 7, 64, 1000] {
      let marks = Marks(max(tasks, 1))
      workers.run(tasks) { task, worker in
        marks.runs[task] += 1
        marks.workers[task] = worker
      }
      #expect(marks.runs.prefix(tasks).allSatisfy { $0 == 1 }, "\(tasks) tasks")
      #expect(marks.workers.prefix(tasks).allSatisfy { (0..<count).contains($0) }, "\(tasks) tasks")
    }
  }

  /// Thousands of short jobs: a lost wake-up would hang here, and a late one would run a task twice.
  @Test func jobsFollowEachOtherQuickly() {
    let workers = Workers(4)
    let marks = Marks(3)
    for _ in 0..<20_000 { workers.run(3) { task, _ in marks.runs[task] += 1 } }
    #expect(Array(marks.runs) == [20_000, 20_000, 20_000])
  }

  /// As many tasks as workers wait for each other, so all workers must run at once.
  @Test func workersRunAtTheSameTime() {
    let condition = NSCondition()
    nonisolated(unsafe) var arrived = 0
    let marks = Marks(3)
    Workers(3).run(3) { task, worker in
      condition.lock()
      arrived += 1
      condition.broadcast()
      while arrived < 3 { condition.wait() }
      condition.unlock()
      marks.workers[task] = worker
    }
    #expect(Set(marks.workers) == [0, 1, 2])
  }

  @Test func severalTeamsCanLiveAndDie() {
    for round in 0..<50 {
      let (one, two) = (Workers(2), Workers(3))
      let marks = Marks(8)
      one.run(8) { task, _ in marks.runs[task] += 1 }
      two.run(8) { task, _ in marks.runs[task] += 1 }
      #expect(marks.runs.allSatisfy { $0 == 2 }, "round \(round)")
    }
  }

  @Test func noWorkersTrap() async {
    await #expect(processExitsWith: .failure) { _ = Workers(0) }
  }
}
