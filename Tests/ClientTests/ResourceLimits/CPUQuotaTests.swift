import Client
import Engine
import Foundation
import Support
import TestSupport
import Testing

@Suite(.unhurried) struct CPUQuotaTests {
  @Test(arguments: [("1%", 1), ("50%", 50), ("100%", 100), ("0200%", 200), ("25600%", 25600)])
  func readsPercent(text: String, percent: Int) { #expect(CPUQuota(text)?.percent == percent) }

  @Test(arguments: [
    "", "%", "50", "0%", "-5%", "+5%", "25601%", "1.5%", "50 %", "50%%", "٥%", "99999999999999999999%",
  ])
  func rejectsWhatIsNone(text: String) { #expect(CPUQuota(text) == nil) }

  @Test func countsTheProcessorsTimeOfEveryThread() async throws {
    let before = ProcessTime.used
    try await TrainingThread.run("spinning") {
      // The time of this thread, which does not depend on other users of the processor.
      func own() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
      }
      while own() < 20_000_000 {}
    }
    #expect(ProcessTime.used - before >= .milliseconds(20))
  }

  /// A training as numbers: steps of any length on up to eight cores.
  @Test func aTrainingKeepsToItsQuota() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = RandomNumbers(seed)
    for _ in 0..<100 {
      let quota = try #require(CPUQuota("\(1 + random.below(400))%"))
      let share = Double(quota.percent) / 100
      let start = ContinuousClock.now
      var (now, used) = (start, Duration.zero)
      var pace = Pace(quota, at: start, used: used)
      var marks = [(time: 0.0, used: 0.0)]
      for _ in 0..<50 {
        let step = Duration.milliseconds(1 + random.below(5000))
        now = now + step
        used += step * Double(random.uniform(0.1, 8))
        now = now + pace.pause(at: now, used: used)
        marks.append(((now - start).seconds, used.seconds))
        // Between any two points of the training, apart from the second of credit.
        for mark in marks.dropLast() {
          let most = share * (marks.last!.time - mark.time + 1)
          #expect(marks.last!.used - mark.used <= most * 1.000001, "\(quota), seed \(seed)")
        }
      }
    }
  }

  @Test func aTrainingPausesNoLongerThanItMust() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = RandomNumbers(seed)
    for _ in 0..<100 {
      let quota = try #require(CPUQuota("\(1 + random.below(100))%"))
      let start = ContinuousClock.now
      var (now, used) = (start, Duration.zero)
      var pace = Pace(quota, at: start, used: used)
      for _ in 0..<50 {
        // Each step uses more than the quota.
        let step = Duration.milliseconds(1 + random.below(5000))
        now = now + step
        used += step * Double(random.uniform(1, 8))
        now = now + pace.pause(at: now, used: used)
      }
      let reached = 100 * used.seconds / (now - start).seconds
      #expect(abs(reached - Double(quota.percent)) < 0.001, "\(reached) of \(quota), seed \(seed)")
    }
  }

  @Test func timeThatWasNotUsedIsCreditForASecondAtMost() throws {
    let start = ContinuousClock.now
    var pace = Pace(try #require(CPUQuota("50%")), at: start, used: .zero)
    // An hour on battery, and then one-second steps.
    #expect(pace.pause(at: start + .seconds(3600), used: .zero) == .zero)
    #expect(pace.pause(at: start + .seconds(3601), used: .seconds(1)) == .zero)
    #expect(pace.pause(at: start + .seconds(3602), used: .seconds(2)) == .seconds(1))
  }

  @Test func aPauseThatLastsTooLongIsTakenFromTheNext() throws {
    let start = ContinuousClock.now
    var pace = Pace(try #require(CPUQuota("50%")), at: start, used: .zero)
    #expect(pace.pause(at: start + .seconds(1), used: .seconds(1)) == .seconds(1))
    // The thread woke at 2.25 s and worked for a second, after a pause in which other threads used 0.1 s.
    let second = pace.pause(at: start + .seconds(3.25), used: .seconds(2.1))
    #expect(abs(second.seconds - 0.95) < 1e-9, "\(second)")
  }
}
