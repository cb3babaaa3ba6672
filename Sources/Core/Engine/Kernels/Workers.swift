import Foundation

/// The engine's threads: a fixed number of workers that execute numbered tasks.
///
/// The caller's thread is worker 0, so a single worker needs no thread and no context switch. Tasks are taken from a
/// shared counter, so slower cores take fewer tasks. The assignment of tasks to workers must not change the result:
/// accumulators belong to tasks, never to workers.
package final class Workers: Sendable {
  package let count: Int
  private let shared = Shared()

  /// Starts `count` - 1 threads.
  package init(_ count: Int) {
    precondition(count >= 1, "\(count) workers")
    self.count = count
    for worker in 1..<max(count, 1) {
      let shared = shared
      let thread = Thread { shared.serve(worker) }
      thread.name = "strata worker \(worker)"
      thread.start()
    }
  }

  deinit { shared.stop() }

  /// Runs `body(task, worker)` for every task in 0 ..< tasks, and returns when all are complete.
  ///
  /// The body runs on several threads concurrently: it may only write memory of its task, or scratch of its worker (0
  /// ..< count).
  package func run(_ tasks: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    guard count > 1 && tasks > 1 else {
      for task in 0..<tasks { body(task, 0) }
      return
    }
    withoutActuallyEscaping(body) { body in
      withUnsafePointer(to: body) { shared.run(Shared.Job(tasks: tasks, body: $0), helpers: count - 1) }
    }
  }
}

extension Workers {
  /// Returns the results of `body(task)` for every task in 0 ..< tasks, in order. If tasks throw, the error of the
  /// first of them is thrown after all have run.
  package func map<Result>(_ tasks: Int, _ body: (_ task: Int) throws -> Result) throws -> [Result] {
    let results = UnsafeMutableBufferPointer<Swift.Result<Result, any Error>?>.allocate(capacity: tasks)
    results.initialize(repeating: nil)
    defer { results.deinitialize().deallocate() }
    run(tasks) { task, _ in results[task] = Swift.Result { try body(task) } }
    return try results.map { try $0!.get() }
  }
}

extension Workers {
  /// The state shared by the threads, under one lock. A task is a chunk of images (milliseconds), so the cost of a lock
  /// per task is negligible.
  private final class Shared: @unchecked Sendable {
    /// The body is behind a pointer, so that no thread retains it when ``run(_:helpers:)`` returns.
    struct Job {
      let tasks: Int
      let body: UnsafePointer<(Int, Int) -> Void>
    }

    private let condition = NSCondition()
    private var job: Job?
    private var generation = 0
    private var nextTask = 0
    private var working = 0
    private var isStopped = false

    func run(_ job: Job, helpers: Int) {
      condition.lock()
      precondition(self.job == nil, "one job at a time")
      self.job = job
      generation += 1
      nextTask = 0
      working = helpers
      condition.broadcast()
      condition.unlock()
      takeTasks(of: job, worker: 0)
      condition.lock()
      while working > 0 { condition.wait() }
      self.job = nil
      condition.unlock()
    }

    func serve(_ worker: Int) {
      var seen = 0
      while true {
        condition.lock()
        while !isStopped && (generation == seen || job == nil) { condition.wait() }
        if isStopped {
          condition.unlock()
          return
        }
        seen = generation
        let job = job!
        condition.unlock()
        takeTasks(of: job, worker: worker)
        condition.lock()
        working -= 1
        if working == 0 { condition.broadcast() }
        condition.unlock()
      }
    }

    func stop() {
      condition.lock()
      isStopped = true
      condition.broadcast()
      condition.unlock()
    }

    @inline(never)
    private func takeTasks(of job: Job, worker: Int) {
      while true {
        condition.lock()
        let task = nextTask
        nextTask += 1
        condition.unlock()
        guard task < job.tasks else { return }
        job.body.pointee(task, worker)
      }
    }
  }
}
