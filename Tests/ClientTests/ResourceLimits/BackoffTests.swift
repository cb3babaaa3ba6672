import Client
import Engine
import Synchronization
import Testing

@Suite struct BackoffTests {
  @Test(arguments: [0.0, 1.0]) func pausesDoubleUpToHalfAMinute(jitter: Double) {
    var backoff = Backoff { jitter }
    let pauses = (0..<12).map { _ in backoff.next() }
    let whole = [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000]
    #expect(pauses == whole.map { Duration.milliseconds(jitter == 1 ? $0 : $0 / 2) })
  }

  @Test func halfOfEachPauseIsLeftToChance() {
    let seed = UInt64.random(in: 0...UInt64.max)
    let random = Mutex(RandomNumbers(seed))
    var backoff = Backoff { random.withLock { Double($0.uniform()) } }
    for _ in 0..<9 { _ = backoff.next() }
    let pauses = (0..<1000).map { _ in backoff.next() }
    #expect(pauses.allSatisfy { $0 >= .seconds(15) && $0 <= .seconds(30) }, "seed \(seed)")
    // A thousand clients spread over fifteen seconds: at least 20 in each of them.
    for second in 15..<30 {
      let count = pauses.count { $0 >= .seconds(second) && $0 < .seconds(second + 1) }
      #expect(count >= 20, "\(count) after \(second) s, seed \(seed)")
    }
  }

  @Test func theSystemsChanceDiffersFromClientToClient() {
    let pauses = (0..<20).map { _ in
      var backoff = Backoff()
      return backoff.next()
    }
    #expect(Set(pauses).count > 1)
  }

  @Test func aServerThatWasReachedIsTriedSoonAgain() {
    var backoff = Backoff { 1 }
    for _ in 0..<5 { _ = backoff.next() }
    backoff.reset()
    #expect(backoff.next() == .milliseconds(100))
  }
}
