import Engine
import Federation
import Foundation
import Server

/// When the round under way and the job will be over, as far as that can be told: from how far the slowest client is
/// and from what earlier rounds took. Nobody knows how long clients will be missing, so nothing is said while the
/// server waits for them.
package struct Estimate: Sendable, Hashable, Codable {
  package var roundEnd: Date?
  package var jobEnd: Date?

  /// Earlier rounds of which the middle one counts.
  private static let memory = 5

  package init(_ status: ServerStatus, _ attempts: [RecordedJob.Attempt], _ plan: Plan, at now: Date) {
    guard status.isRunning, status.phase != .recruiting, (1...plan.stages).contains(status.stage) else {
      return
    }
    let committed = attempts.filter { $0.record.outcome == "committed" }
    roundEnd = Self.roundEnd(status, attempts, committed, now)
    guard let roundEnd, let left = Self.secondsAfter(status, committed, plan) else { return }
    jobEnd = roundEnd.addingTimeInterval(left).bounded
  }

  private static func roundEnd(
    _ status: ServerStatus, _ attempts: [RecordedJob.Attempt], _ committed: [RecordedJob.Attempt], _ now: Date
  ) -> Date? {
    let last = status.until ?? .distantFuture
    if let end = status.trainingEnd { return min(max(end, now), last) }
    // What the stage's rounds took so far. Where this one takes longer, it cannot be told how much.
    guard let usual = median(committed.filter { $0.stage == status.stage }.map(\.record.seconds)),
      let record = attempts.last(where: { $0.stage == status.stage && $0.record.outcome == nil })?.record
    else { return nil }
    let end = record.startedAt.addingTimeInterval((record.waited ?? 0) + usual)
    return end > now ? min(end, last) : nil
  }

  /// Seconds from the end of the round under way to that of the job; nil without an earlier round.
  private static func secondsAfter(
    _ status: ServerStatus, _ committed: [RecordedJob.Attempt], _ plan: Plan
  ) -> Double? {
    let latest = committed.last { $0.record.seconds != nil }?.stage
    guard let latest, (1...plan.stages).contains(latest),
      let known = median(committed.filter { $0.stage == latest }.map(\.record.seconds))
    else { return nil }
    let waits = median(committed.map(\.record.waited)) ?? 0
    return (status.stage...plan.stages).reduce(0) { sum, stage in
      let rounds = plan.mostRounds(stage: stage) - (stage == status.stage ? status.round : 0)
      // A stage that has not begun takes as much longer as it computes more.
      let own = median(committed.filter { $0.stage == stage }.map(\.record.seconds))
      let seconds = own ?? known * operations(plan, stage) / operations(plan, latest)
      return sum + Double(max(rounds, 0)) * (seconds + waits)
    }
  }

  /// Of a training step of a stage, in some unit.
  private static func operations(_ plan: Plan, _ stage: Int) -> Double {
    Double(max(OperationCount.step(plan.stage(stage), batch: 1, branches: 0), 1))
  }

  /// The middle one of the last few that make sense.
  private static func median(_ values: [Double?]) -> Double? {
    let last = values.compactMap { $0 }.filter { (0...1e9).contains($0) }.suffix(memory).sorted()
    return last.isEmpty ? nil : last[last.count / 2]
  }
}
