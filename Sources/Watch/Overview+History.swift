import Engine
import Federation
import Foundation
import Server

extension Overview {
  /// Of what a database says of a job and, where its server is in this process, of who is connected.
  package init(
    _ recorded: RecordedJob, _ plan: Plan, connected: [ConnectedClient]? = nil, residentBytes: Int? = nil,
    at now: Date
  ) {
    name = plan.name
    (strategy, ssl) = (plan.method.strategy.rawValue, plan.method.ssl.rawValue)
    software = Software.version
    (startedAt, finishedAt) = (recorded.job.startedAt, recorded.job.finishedAt)
    status = recorded.status
    isRunning = recorded.status.isRunning
    self.residentBytes = residentBytes.map { ($0 >> 20) << 20 }
    let committed = recorded.attempts.filter { $0.record.outcome == "committed" }
    // A stage that is over has the rounds that it had.
    let last = committed.map(\.stage).max() ?? 0
    stageRounds = (1...plan.stages).map { stage in
      let isOver = stage < last || (stage == last && recorded.status.phase == .finished)
      return plan.curriculum.isOpen && isOver
        ? committed.count { $0.stage == stage } : plan.mostRounds(stage: stage)
    }
    isOpen = plan.curriculum.isOpen && recorded.status.phase != .finished
    layers = Self.layers(plan, recorded.status, done: committed.map(\.stage), stageRounds)
    rounds = Self.rounds(committed, stageRounds)
    let given = recorded.attempts.filter { $0.record.outcome == "abandoned" }
    abandoned = given.count
    abandonments = given.compactMap(Abandonment.init)
    let here = connected.map { Dictionary($0.map { ($0.name, $0) }) { $1 } }
    clients = recorded.clients.map { client in
      Client(client, here?[client.record.name], isKnown: here != nil, at: now)
    }
    estimate = Estimate(recorded.status, recorded.attempts, plan, at: now)
    updatesAdmitted = recorded.clients.reduce(0) { $0 + $1.admitted }
    rejections = recorded.status.rejections ?? [:]
  }

  /// The plan of a recorded job. Throws ``StoreError`` where this version cannot read it.
  package static func plan(of recorded: RecordedJob) throws(StoreError) -> Plan {
    do {
      return try recorded.job.readPlan(named: "")
    } catch {
      throw StoreError(StoreError.firstLine("the plan in the database cannot be read: \(error)"))
    }
  }

  private static func rounds(_ committed: [RecordedJob.Attempt], _ stageRounds: [Int]) -> [Round] {
    committed.map { attempt in
      let record = attempt.record
      return Round(
        stage: attempt.stage, round: record.number,
        number: stageRounds.prefix(max(attempt.stage, 1) - 1).reduce(0, +).addingSaturating(record.number),
        attempt: record.attempt, clients: attempt.admitted, samples: record.samples ?? 0, cut: attempt.cut,
        loss: record.loss.flatMap(finite), calibrationLoss: record.calibrationLoss.flatMap(finite),
        seconds: record.seconds.flatMap(finite), waited: record.waited.flatMap(finite),
        monitors: record.monitors.flatMap { $0.isFinite ? $0 : nil }, probe: record.probe.flatMap(finite),
        finishedAt: record.finishedAt)
    }
  }

  /// JSON has no other numbers.
  private static func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }

  /// - Parameter done: the stages of the committed rounds.
  private static func layers(
    _ plan: Plan, _ status: ServerStatus, done: [Int], _ stageRounds: [Int]
  ) -> [Layer] {
    let stages = (1...plan.stages).map { plan.stage($0) }
    let whole = stages[stages.count - 1].model
    let current = min(max(status.stage, 1), stages.count)
    func layer(_ name: String, _ trains: (Stage) -> Bool) -> Layer {
      let own = Set(stages.filter(trains).map(\.index))
      let state: Layer.State =
        status.phase == .finished
        ? .frozen : own.contains(current) ? .training : own.allSatisfy { $0 > current } ? .toCome : .frozen
      return Layer(
        name: name, state: state, done: done.count { own.contains($0) },
        rounds: own.reduce(0) { $0 + stageRounds[$1 - 1] })
    }
    let blocks = (0..<whole.depth).map { block in
      layer("blocks.\(block)") { $0.trainedBlocks.contains(block) }
    }
    return [layer("stem", \.trainsStem)] + blocks
  }
}

extension Overview.Abandonment {
  /// Nil where no reason was noted.
  init?(_ attempt: RecordedJob.Attempt) {
    guard let reason = attempt.record.reason else { return nil }
    (stage, round, self.attempt) = (attempt.stage, attempt.record.number, attempt.record.attempt)
    (self.reason, finishedAt) = (reason, attempt.record.finishedAt)
  }
}

extension Overview.Client {
  /// - Parameter isKnown: whether the server was asked who is connected.
  init(
    _ recorded: RecordedJob.Client, _ here: ConnectedClient?, isKnown: Bool, at now: Date
  ) {
    let record = recorded.record
    (name, software, samples) = (record.name, record.software, record.samples)
    connection = isKnown ? here != nil : nil
    let heard = here.map { now.addingTimeInterval(-$0.silence.seconds) } ?? record.lastSeen
    lastContact = Date(timeIntervalSince1970: heard.timeIntervalSince1970.rounded(.down))
    (activity, step, steps) = (here?.activity, here?.step, here?.steps)
    (updateBytes, updateReceivedBytes) = (here?.update?.bytes, here?.update?.here)
    residentBytes = here?.memory
    receivedBytes = record.bytesUp.addingSaturating(max(here?.received ?? 0, 0))
    sentBytes = record.bytesDown.addingSaturating(max(here?.sent ?? 0, 0))
    (admitted, rejected, cut) = (recorded.admitted, recorded.rejected, recorded.cut)
  }

  /// Never less than it said before: between two readings bytes go from the connection's count to the store's.
  package mutating func keepUp(with before: Self) {
    receivedBytes = max(receivedBytes, before.receivedBytes)
    sentBytes = max(sentBytes, before.sentBytes)
  }
}
