import Client
import Synchronization
import TestSupport
import Testing

@Suite(.unhurried) struct TrainingPermitsTests {
  @Test(arguments: [1, 3]) func neverMoreThanSoManyAtOnce(count: Int) async {
    let permits = TrainingPermits(count)
    let room = Room()
    await withDiscardingTaskGroup { group in
      for _ in 0..<200 {
        group.addTask {
          await permits.withPermit {
            room.enter()
            for _ in 0..<5 { await Task.yield() }
            room.leave()
          }
        }
      }
    }
    let (inside, most, left) = room.counts.withLock { $0 }
    #expect(inside == 0 && left == 200)
    #expect(most == count, "200 tasks and \(most) at once")
  }

  @Test func firstComeFirstServed() async throws {
    let permits = TrainingPermits(1)
    let order = EventLog<Int>()
    let (blocker, release) = AsyncStream<Void>.makeStream()
    let holding = Task {
      await permits.withPermit {
        order.note(-1)
        for await _ in blocker { break }
      }
    }
    _ = try await order.first { $0 == -1 ? () : nil }
    var waiting: [Task<Void, Never>] = []
    for index in 0..<20 {
      // The task runs immediately until it joins the actor's queue, so the order is fixed.
      waiting.append(Task.immediate { await permits.withPermit { order.note(index) } })
    }
    release.yield()
    await holding.value
    for task in waiting { await task.value }
    #expect(order.all == [-1] + Array(0..<20))
  }

  @Test func aBodyThatThrowsGivesItsPermitBack() async throws {
    struct Failure: Error {}
    let permits = TrainingPermits(1)
    for _ in 0..<3 {
      await #expect(throws: Failure.self) { try await permits.withPermit { throw Failure() } }
    }
    #expect(await permits.withPermit { 7 } == 7)
  }
}

/// Counts the tasks that hold a permit.
private final class Room: Sendable {
  let counts = Mutex((inside: 0, most: 0, left: 0))

  func enter() {
    counts.withLock {
      $0.inside += 1
      $0.most = max($0.most, $0.inside)
    }
  }

  func leave() {
    counts.withLock {
      $0.inside -= 1
      $0.left += 1
    }
  }
}
