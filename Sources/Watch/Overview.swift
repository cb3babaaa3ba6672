import Engine
import Federation
import Foundation
import Server

/// What there is to see of a job at one moment: the one value behind the page, the API, the metrics and the report.
///
/// It holds no secret: neither keys nor codes nor where they are, and no address of a client.
package struct Overview: Sendable, Hashable, Codable {
  /// The plan's name, strategy and loss, by their names in the plan.
  package var name: String
  package var strategy: String
  package var ssl: String
  /// The server's version.
  package var software: String
  package var startedAt: Date
  package var finishedAt: Date?
  /// What the server does, as it notes it itself.
  package var status: ServerStatus
  /// Whether the process that does it is there.
  package var isRunning: Bool
  /// Bytes that the server's process has resident, in whole MiB so that it says something new only where something
  /// changed; nil where it does not run here.
  package var residentBytes: Int?
  /// The encoder from below to above.
  package var layers: [Layer]
  /// Rounds of each stage by the plan.
  package var stageRounds: [Int]
  /// The committed ones in order.
  package var rounds: [Round]
  /// Attempts at rounds that came to nothing.
  package var abandoned: Int
  /// They in order, as far as they say why.
  package var abandonments: [Abandonment]
  package var clients: [Client]
  /// When the round under way and the job will be over, as far as that can be told.
  package var estimate: Estimate
  /// Updates that were admitted, and those that were rejected by reason.
  package var updatesAdmitted: Int
  package var rejections: [String: Int]

  /// Rounds of the whole job by the plan.
  /// Whether stages to come may have fewer rounds than planned.
  package var isOpen: Bool
  package var plannedRounds: Int { stageRounds.reduce(0, +) }

  /// The metrics of which some round has a value, in the order in which they are shown.
  package var metrics: [Metric] {
    let names = rounds.reduce(into: Set<String>()) { names, round in
      names.formUnion(round.metrics.rows.map(\.name))
    }
    return Metric.all.filter { names.contains($0.name) }
  }

  /// Bytes of all clients, as many as a number can count.
  package func total(_ bytes: KeyPath<Client, Int>) -> Int {
    clients.reduce(0) { $0.addingSaturating($1[keyPath: bytes]) }
  }

  /// Whether nothing goes on any more, in good order or not.
  package var isOver: Bool { status.hasEnded || !isRunning }

  /// Why the server ended before its job did; nil where it did not, or for a reason that is in its log only.
  package var failure: String? {
    if status.phase == .failed, let reason = status.reason { return reason }
    guard status.phase == .failed, let last = abandonments.last,
      (last.stage, last.round, last.attempt) == (status.stage, status.round, status.attempt)
    else { return nil }
    return last.reason
  }
}

extension Overview {
  /// A layer of the finished encoder.
  package struct Layer: Sendable, Hashable, Codable {
    /// What can be the matter with a layer.
    package enum State: String, Sendable, Codable {
      case frozen, training
      /// Its stage has not come.
      case toCome
    }

    /// As in the encoder's file: `stem`, `blocks.0` …
    package var name: String
    package var state: State
    /// Committed rounds in which it trained, and those of the plan.
    package var done: Int
    package var rounds: Int
  }

  /// A committed round.
  package struct Round: Sendable, Hashable, Codable, Measured {
    package var stage: Int
    package var round: Int
    /// Counted over all stages, from 1.
    package var number: Int
    package var attempt: Int
    /// Clients whose updates it was made of, and their images.
    package var clients: Int
    package var samples: Int
    /// Clients that claimed more images than count, of which `samples` has what counts.
    package var cut: Int
    package var seconds: Double?
    /// Seconds before that, in which it waited for clients.
    package var waited: Double?
    package var metrics: RoundMetrics
    package var finishedAt: Date?
  }

  /// An attempt at a round that came to nothing.
  package struct Abandonment: Sendable, Hashable, Codable {
    package var stage: Int
    package var round: Int
    package var attempt: Int
    /// In a few words, for people.
    package var reason: String
    package var finishedAt: Date?
  }

  /// A client that has joined at some time.
  package struct Client: Sendable, Hashable, Codable {
    package var name: String
    package var software: String
    /// Whether it is connected; nil where its server was not asked, as when a database is read.
    package var connection: Bool?
    /// To the second.
    package var lastContact: Date
    /// What it does; nil where it is not connected, or its server was not asked.
    package var activity: ClientActivity?
    /// How far its training is; nil where it does not train.
    package var step: Int?
    package var steps: Int?
    /// Bytes of the update that it sends, and how many of them are here; nil where it sends none.
    package var updateBytes: Int?
    package var updateReceivedBytes: Int?
    /// Bytes that its process has resident, where it tells.
    package var residentBytes: Int?
    /// Images behind its latest update.
    package var samples: Int
    /// From the client to the server, and back.
    package var receivedBytes: Int
    package var sentBytes: Int
    package var admitted: Int
    package var rejected: Int
    /// Updates that claimed more images than counted.
    package var cut: Int

    /// Whether it is known to be connected.
    package var isConnected: Bool { connection ?? false }

    private enum CodingKeys: String, CodingKey {
      case connection = "isConnected"
      case name, software, lastContact, activity, step, steps, updateBytes, updateReceivedBytes
      case residentBytes, samples, receivedBytes, sentBytes, admitted, rejected, cut
    }
  }
}

extension Overview {
  /// The clients that are shown one by one, by name in natural order: those that were heard last, where there are many.
  package var latestClients: [Client] {
    guard clients.count > WebLimits.clients else { return clients }
    let latest = clients.sorted {
      ($0.isConnected ? 1 : 0, $0.lastContact) > ($1.isConnected ? 1 : 0, $1.lastContact)
    }
    return latest.prefix(WebLimits.clients).sorted { $0.name.precedesNaturally($1.name) }
  }
}

extension Int {
  /// The sum, or the nearest number that there is.
  func addingSaturating(_ other: Int) -> Int {
    let (sum, overflows) = addingReportingOverflow(other)
    return overflows ? (other > 0 ? .max : .min) : sum
  }
}

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
        seconds: record.seconds.flatMap(finite), waited: record.waited.flatMap(finite),
        metrics: record.metrics, finishedAt: record.finishedAt)
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
