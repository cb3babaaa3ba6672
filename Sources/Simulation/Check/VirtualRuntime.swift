import Foundation
import Server
import Synchronization

/// A server's clock, tasks and threads under virtual time. Ready jobs run on the thread that calls ``step()``, one at a
/// time in the order in which they became ready, so that a seed always gives the same events.
final class VirtualRuntime: ServerRuntime, TaskExecutor, @unchecked Sendable {
  private let world: World
  private let ready = Mutex(Queue())
  private let sleepers = Mutex((waiting: [Int: CheckedContinuation<Void, any Error>](), count: 0))
  private let isDead = Mutex(false)

  /// The environment of the server.
  struct World {
    let now: () -> Duration
    let date: () -> Date
    /// Wakes the sleeper with a number at a time.
    let wake: (_ sleeper: Int, _ time: Duration) -> Void
    /// The time that a computation or a disk access takes.
    let computing: () -> Duration
    let accessing: () -> Duration
  }

  /// A queue of jobs, first in, first out.
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

  /// Runs the next ready job. Returns false if there is none.
  func step() -> Bool {
    guard let job = ready.withLock({ $0.take() }) else { return false }
    job.runSynchronously(on: asUnownedTaskExecutor())
    return true
  }

  /// Wakes a sleeper whose time has come.
  func wake(_ sleeper: Int) { take(sleeper)?.resume() }

  /// Ends all sleeping and computing with a `CancellationError`.
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

/// The events to come in virtual time, ordered by time and then by order of insertion.
struct Agenda<Event> {
  private var heap: [(time: Duration, number: Int, event: Event)] = []
  private var count = 0

  mutating func note(_ event: Event, at time: Duration) {
    heap.append((time, count, event))
    count += 1
    var child = heap.count - 1
    while child > 0, isEarlier(child, than: (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// Removes and returns the next event; nil if there is none.
  mutating func next() -> (time: Duration, event: Event)? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink()
    }
    return (first.time, first.event)
  }

  private mutating func sink() {
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isEarlier(child, than: least)
      {
        least = child
      }
      guard least != parent else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }

  private func isEarlier(_ a: Int, than b: Int) -> Bool {
    (heap[a].time, heap[a].number) < (heap[b].time, heap[b].number)
  }
}
