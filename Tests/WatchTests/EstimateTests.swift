import Federation
import Foundation
import Server
import Testing
import Watch

@Suite struct EstimateTests {
  private let now = Date(timeIntervalSince1970: 1_790_001_000)

  /// Returns the run during the training of a round that began `seconds` ago.
  private func training(
    _ run: MadeRun, stage: Int, round: Int, since seconds: Double
  ) throws -> (status: ServerStatus, attempts: [RecordedJob.Attempt]) {
    let recorded = try run.recorded
    var status = recorded.status
    (status.phase, status.stage, status.round) = (.training, stage, round)
    status.until = now.addingTimeInterval(1000)
    var record = recorded.attempts[0].record
    (record.outcome, record.number, record.waited) = (nil, round, 2)
    record.startedAt = now.addingTimeInterval(-seconds - 2)
    let attempts = recorded.attempts.filter { $0.record.outcome != nil }
    return (status, attempts + [RecordedJob.Attempt(stage: stage, record: record, admitted: 0)])
  }

  @Test func theRoundEndsWhenTheSlowestHasTrained() async throws {
    try await withMadeRun { run in
      var (status, attempts) = try training(run, stage: 2, round: 1, since: 4)
      #expect(
        Estimate(status, attempts, run.plan, at: now).roundEnd == nil, "no round of this stage is known")
      status.trainingEnd = now.addingTimeInterval(30)
      let estimate = Estimate(status, attempts, run.plan, at: now)
      #expect(estimate.roundEnd == now.addingTimeInterval(30))
      // One round is left, in a stage that computes more than the one that took 12.5 seconds per round, after a wait.
      let left = try #require(estimate.jobEnd).timeIntervalSince(now.addingTimeInterval(60.25))
      #expect(left > 12.5 && left < 40)
      status.trainingEnd = now.addingTimeInterval(-5)
      #expect(Estimate(status, attempts, run.plan, at: now).roundEnd == now, "it is late")
      status.trainingEnd = now.addingTimeInterval(5000)
      #expect(
        Estimate(status, attempts, run.plan, at: now).roundEnd == status.until, "the deadline is before")
    }
  }

  @Test func withoutSignsEarlierRoundsOfTheStageTell() async throws {
    try await withMadeRun { run in
      let (status, attempts) = try training(run, stage: 1, round: 2, since: 4)
      let estimate = Estimate(status, attempts, run.plan, at: now)
      #expect(estimate.roundEnd == now.addingTimeInterval(8.5))
      #expect(estimate.jobEnd != nil)
      let (late, more) = try training(run, stage: 1, round: 2, since: 13)
      #expect(
        Estimate(late, more, run.plan, at: now) == (try Estimate(nothingIn: run, at: now)), "nobody knows")
    }
  }

  /// There is no estimate of when missing clients return, or when a server that has ended is started again.
  @Test func whatCannotBeKnownIsNotSaid() async throws {
    try await withMadeRun { run in
      #expect(try run.recorded.status.phase == .recruiting)
      #expect(try run.overview.estimate.roundEnd == nil)
      var (status, attempts) = try training(run, stage: 1, round: 2, since: 4)
      status.isAtWork = false
      #expect(Estimate(status, attempts, run.plan, at: now).roundEnd == nil)
      status.isAtWork = true
      #expect(Estimate(status, [attempts[2]], run.plan, at: now).roundEnd == nil, "the first round of all")
      for stage in [Int.min, 0, 3, Int.max] {
        status.stage = stage
        #expect(Estimate(status, attempts, run.plan, at: now).jobEnd == nil)
      }
    }
  }

  @Test func aPageAndAScraperSeeIt() async throws {
    try await withMadeRun { run in
      var overview = try run.overview
      (overview.status.phase, overview.isRunning) = (.training, true)
      #expect(!StatusPage(overview).html.contains("Estimated"))
      overview.estimate.roundEnd = now
      overview.estimate.jobEnd = now.addingTimeInterval(3600)
      let page = StatusPage(overview).html
      #expect(
        page.contains("<dt>Estimated end of the round</dt>")
          && page.contains("<dt>Estimated end of the job</dt>"))
      let metrics = Metrics(overview, ProcessUse.now).text
      #expect(metrics.contains("\nstrata_estimated_job_end_timestamp_seconds 1790004600\n"))
    }
  }
}

extension Estimate {
  /// The estimate of a run whose server waits for clients.
  fileprivate init(nothingIn run: MadeRun, at now: Date) throws {
    self.init(try run.recorded.status, [], run.plan, at: now)
  }
}
