import Foundation
import Server
import Synchronization

/// A server's clock, tasks and threads under virtual time: whatever is ready runs on the thread that calls ``step()``,
/// one job at a time in the order in which it became ready, so that a seed's story is always the same.
final class VirtualRuntime: ServerRuntime, TaskExecutor, @unchecked Sendable {
  private let world: World
  private let ready = Mutex(Queue())
  private let sleepers = Mutex((waiting: [Int: CheckedContinuation<Void, any Error>](), count: 0))
  private let isDead = Mutex(false)

  /// What the runtime knows of the world around the server.
  struct World {
    let now: () -> Duration
    let date: () -> Date
    /// Wakes the sleeper of a number at a time.
    let wake: (_ sleeper: Int, _ time: Duration) -> Void
    /// How long a computation, or an access to the disk, takes.
    let computing: () -> Duration
    let accessing: () -> Duration
  }

  /// Jobs, first in, first out.
  private struct Queue {
    var jobs: [UnownedJob] = []
    var first = 0

    mutating func take() -> UnownedJob? {
      guard first < jobs.count else { return nil }
      defer {
        first += 1
        if first == jobs.count { (jobs, first) = ([], 0) }
      }
      return jobs[first]
    }
  }

  init(_ world: World) { self.world = world }

  // MARK: - Running

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    ready.withLock { $0.jobs.append(job) }
  }

  /// Runs the next job that is ready. Returns false where there is none.
  func step() -> Bool {
    guard let job = ready.withLock({ $0.take() }) else { return false }
    job.runSynchronously(on: asUnownedTaskExecutor())
    return true
  }

  /// Time has come to where a sleeper wakes.
  func wake(_ sleeper: Int) { take(sleeper)?.resume() }

  /// Nothing sleeps or computes here any more: whatever waits ends with a `CancellationError`.
  func die() {
    isDead.withLock { $0 = true }
    let waiting = sleepers.withLock { sleepers in
      defer { sleepers.waiting = [:] }
      return sleepers.waiting
    }
    for (_, sleeper) in waiting.sorted(by: { $0.key < $1.key }) {
      sleeper.resume(throwing: CancellationError())
    }
  }

  private func take(_ sleeper: Int) -> CheckedContinuation<Void, any Error>? {
    sleepers.withLock { $0.waiting.removeValue(forKey: sleeper) }
  }

  // MARK: - ServerRuntime

  var now: Duration { world.now() }
  var date: Date { world.date() }

  func sleep(until time: Duration) async throws {
    let number = sleepers.withLock { sleepers in
      sleepers.count += 1
      return sleepers.count
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        guard !isDead.withLock({ $0 }), !Task.isCancelled else {
          return continuation.resume(throwing: CancellationError())
        }
        sleepers.withLock { $0.waiting[number] = continuation }
        world.wake(number, time)
      }
    } onCancel: {
      take(number)?.resume(throwing: CancellationError())
    }
  }

  @discardableResult
  func start(_ work: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
    Task(executorPreference: self) { await work() }
  }

  func compute<Result: Sendable>(
    _ name: String, _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await sleep(until: now + world.computing())
    return try body()
  }

  func access<Result: Sendable>(
    _ body: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try await sleep(until: now + world.accessing())
    return try body()
  }
}
