import Engine
import Federation
import Foundation
import Server

/// The estimated end of the current round and of the job, from the progress of the slowest client and the duration of
/// earlier rounds. There is no estimate while the server waits for clients, since that time cannot be predicted.
package struct Estimate: Sendable, Hashable, Codable {
  package var roundEnd: Date?
  package var jobEnd: Date?

  /// The number of earlier rounds in a median.
  private static let memory = 5

  package init(_ status: ServerStatus, _ attempts: [RecordedJob.Attempt], _ plan: Plan, at now: Date) {
    guard status.isRunning, status.phase != .recruiting, (1...plan.stages).contains(status.stage) else {
      return
    }
    let committed = attempts.filter { $0.record.outcome == .committed }
    roundEnd = Self.roundEnd(status, attempts, committed, now)
    guard let roundEnd, let left = Self.secondsAfter(status, committed, plan) else { return }
    jobEnd = roundEnd.addingTimeInterval(left).bounded
  }

  private static func roundEnd(
    _ status: ServerStatus, _ attempts: [RecordedJob.Attempt], _ committed: [RecordedJob.Attempt], _ now: Date
  ) -> Date? {
    let last = status.until ?? .distantFuture
    if let end = status.trainingEnd { return min(max(end, now), last) }
    // Uses the earlier rounds of this stage. If this round takes longer than they did, there is no estimate.
    guard let usual = median(committed.filter { $0.stage == status.stage }.map(\.record.seconds)),
      let record = attempts.last(where: { $0.stage == status.stage && $0.record.outcome == nil })?.record
    else { return nil }
    let end = record.startedAt.addingTimeInterval((record.waited ?? 0) + usual)
    return end > now ? min(end, last) : nil
  }

  /// Returns the seconds from the end of the current round to that of the job; nil without an earlier round.
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
      // The time of a stage that has not begun is scaled by its operation count.
      let own = median(committed.filter { $0.stage == stage }.map(\.record.seconds))
      let seconds = own ?? known * operations(plan, stage) / operations(plan, latest)
      return sum + Double(max(rounds, 0)) * (seconds + waits)
    }
  }

  /// Returns the relative number of operations in a training step of a stage.
  private static func operations(_ plan: Plan, _ stage: Int) -> Double {
    Double(max(OperationCount.step(plan.stage(stage), batch: 1, branches: 0, localViews: plan.localViews), 1))
  }

  /// Returns the median of the last plausible values.
  private static func median(_ values: [Double?]) -> Double? {
    let last = values.compactMap { $0 }.filter { (0...1e9).contains($0) }.suffix(memory).sorted()
    return last.isEmpty ? nil : last[last.count / 2]
  }
}
