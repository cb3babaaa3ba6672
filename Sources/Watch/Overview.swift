import Engine
import Federation
import Foundation
import Server

/// The state of a job at one moment: the common source of the page, the API, the metrics and the report.
///
/// It contains no secrets: no keys, codes or their paths, and no address of a client.
package struct Overview: Sendable, Hashable, Codable {
  /// The plan's name, strategy and loss, as named in the plan.
  package var name: String
  package var strategy: String
  package var objective: String
  /// The server's version.
  package var software: String
  package var startedAt: Date
  package var finishedAt: Date?
  /// The state of the server, as it records it.
  package var status: ServerStatus
  /// Whether the server's process runs.
  package var isRunning: Bool
  /// The resident memory of the server's process in bytes, rounded to MiB so that it seldom changes; nil if the server
  /// runs elsewhere.
  package var residentBytes: Int?
  /// The encoder's layers, from the lowest to the highest.
  package var layers: [Layer]
  /// The planned number of rounds of each stage.
  package var stageRounds: [Int]
  /// The committed rounds in order.
  package var rounds: [Round]
  /// The number of abandoned attempts at rounds.
  package var abandoned: Int
  /// The abandoned attempts in order, as far as their reasons are recorded.
  package var abandonments: [Abandonment]
  package var clients: [Client]
  /// The exits of a classification after the last probed round; nil without a probe.
  package var evaluation: Evaluation?
  /// The representations of the last analysed model; nil without them.
  package var picture: Picture?
  /// The images that a cascade has left for its stages, and its costs; nil without a cascade.
  package var cascade: CascadeAccount?
  /// The estimated end of the current round and of the job.
  package var estimate: Estimate
  /// The number of admitted updates, and of rejected updates by reason.
  package var updatesAdmitted: Int
  package var rejections: [String: Int]

  /// Whether later stages may have fewer rounds than planned.
  package var isOpen: Bool
  /// The planned number of rounds of the whole job.
  package var plannedRounds: Int { stageRounds.reduce(0, +) }

  /// The metrics of which some round has a value, in the order in which they are shown.
  package var metrics: [Metric] {
    let names = rounds.reduce(into: Set<String>()) { names, round in
      names.formUnion(round.metrics.rows.map(\.name))
    }
    return Metric.all.filter { names.contains($0.name) }
  }

  /// Returns the sum over all clients, or the largest number if it overflows.
  package func total(_ bytes: KeyPath<Client, Int>) -> Int {
    clients.reduce(0) { $0.addingSaturating($1[keyPath: bytes]) }
  }

  /// Whether the job has ended, successfully or not.
  package var isOver: Bool { status.hasEnded || !isRunning }

  /// The reason of a failure; nil if the server has not failed, or if only its log has the reason.
  package var failure: String? {
    if status.phase == .failed, let reason = status.reason { return reason }
    guard status.phase == .failed, let last = abandonments.last,
      (last.stage, last.round, last.attempt) == (status.stage, status.round, status.attempt)
    else { return nil }
    return last.reason
  }
}

extension Overview {
  /// A layer of the complete encoder.
  package struct Layer: Sendable, Hashable, Codable {
    /// The state of a layer.
    package enum State: String, Sendable, Codable {
      case frozen, training
      /// Its stage has not begun.
      case toCome
    }

    /// The name as in the encoder's file: `stem`, `blocks.0` …
    package var name: String
    package var state: State
    /// The committed rounds that trained the layer, and the planned number.
    package var done: Int
    package var rounds: Int
  }

  /// A committed round.
  package struct Round: Sendable, Hashable, Codable, Measured {
    package var stage: Int
    package var round: Int
    /// The number counted over all stages, from 1.
    package var number: Int
    package var attempt: Int
    /// The number of clients in the average, and of their images.
    package var clients: Int
    package var samples: Int
    /// The number of clients that claimed more images than allowed; `samples` counts the allowed number.
    package var cut: Int
    package var seconds: Double?
    /// The seconds before the round in which the server waited for clients.
    package var waited: Double?
    package var metrics: RoundMetrics
    package var finishedAt: Date?

    /// The metrics are fields beside the others.
    private enum CodingKeys: String, CodingKey {
      case stage, round, number, attempt, clients, samples, cut, seconds, waited, finishedAt
    }

    init(_ attempt: RecordedJob.Attempt, number: Int) {
      let record = attempt.record
      (stage, round, self.number, self.attempt) = (attempt.stage, record.number, number, record.attempt)
      (clients, samples, cut) = (attempt.admitted, record.samples ?? 0, attempt.cut)
      // JSON has only finite numbers.
      seconds = record.seconds.flatMap { $0.isFinite ? $0 : nil }
      waited = record.waited.flatMap { $0.isFinite ? $0 : nil }
      (metrics, finishedAt) = (record.metrics, record.finishedAt)
    }

    package init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      stage = try values.decode(Int.self, forKey: .stage)
      round = try values.decode(Int.self, forKey: .round)
      number = try values.decode(Int.self, forKey: .number)
      attempt = try values.decode(Int.self, forKey: .attempt)
      clients = try values.decode(Int.self, forKey: .clients)
      samples = try values.decode(Int.self, forKey: .samples)
      cut = try values.decode(Int.self, forKey: .cut)
      seconds = try values.decodeIfPresent(Double.self, forKey: .seconds)
      waited = try values.decodeIfPresent(Double.self, forKey: .waited)
      finishedAt = try values.decodeIfPresent(Date.self, forKey: .finishedAt)
      metrics = try RoundMetrics(from: decoder)
    }

    package func encode(to encoder: any Swift.Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(stage, forKey: .stage)
      try values.encode(round, forKey: .round)
      try values.encode(number, forKey: .number)
      try values.encode(attempt, forKey: .attempt)
      try values.encode(clients, forKey: .clients)
      try values.encode(samples, forKey: .samples)
      try values.encode(cut, forKey: .cut)
      try values.encodeIfPresent(seconds, forKey: .seconds)
      try values.encodeIfPresent(waited, forKey: .waited)
      try values.encodeIfPresent(finishedAt, forKey: .finishedAt)
      try metrics.encode(to: encoder)
    }
  }

  /// An abandoned attempt at a round.
  package struct Abandonment: Sendable, Hashable, Codable {
    package var stage: Int
    package var round: Int
    package var attempt: Int
    /// The reason, in a few words.
    package var reason: String
    package var finishedAt: Date?
  }

  /// A client that has joined at some time.
  package struct Client: Sendable, Hashable, Codable {
    package var name: String
    package var software: String
    /// Whether the client is connected; nil if the server was not asked, for instance when a database is read.
    package var connection: Bool?
    /// The last contact, to the second.
    package var lastContact: Date
    /// The client's activity; nil if it is not connected or the server was not asked.
    package var activity: ClientActivity?
    /// The progress of its training; nil if it does not train.
    package var step: Int?
    package var steps: Int?
    /// The bytes of the update in transfer, and of the part that has arrived; nil if there is none.
    package var updateBytes: Int?
    package var updateReceivedBytes: Int?
    /// The resident memory of its process in bytes; nil if it does not report it.
    package var residentBytes: Int?
    /// The number of images behind its latest update.
    package var samples: Int
    /// The bytes received from the client, and those sent to it.
    package var receivedBytes: Int
    package var sentBytes: Int
    package var admitted: Int
    package var rejected: Int
    /// The number of its updates that claimed more images than allowed.
    package var cut: Int
    /// Its last validation; nil without one.
    package var validation: Validation?

    /// Whether it is known to be connected.
    package var isConnected: Bool { connection ?? false }

    private enum CodingKeys: String, CodingKey {
      case connection = "isConnected"
      case name, software, lastContact, activity, step, steps, updateBytes, updateReceivedBytes
      case residentBytes, samples, receivedBytes, sentBytes, admitted, rejected, cut, validation
    }
  }
}

extension Overview {
  /// The clients to show individually, by name in natural order: the most recent ones if there are too many.
  package var latestClients: [Client] {
    guard clients.count > WebLimits.clients else { return clients }
    let latest = clients.sorted {
      ($0.isConnected ? 1 : 0, $0.lastContact) > ($1.isConnected ? 1 : 0, $1.lastContact)
    }
    return latest.prefix(WebLimits.clients).sorted { $0.name.precedesNaturally($1.name) }
  }
}

extension Int {
  /// Returns the sum, or the nearest number that can be represented.
  func addingSaturating(_ other: Int) -> Int {
    let (sum, overflows) = addingReportingOverflow(other)
    return overflows ? (other > 0 ? .max : .min) : sum
  }
}

extension Overview {
  /// Combines the recorded job with the connected clients, if its server runs in this process.
  package init(
    _ recorded: RecordedJob, _ plan: Plan, connected: [ConnectedClient]? = nil, residentBytes: Int? = nil,
    at now: Date
  ) {
    name = plan.name
    (strategy, objective) = (plan.method.strategy.rawValue, plan.method.objective.rawValue)
    software = Software.version
    (startedAt, finishedAt) = (recorded.job.startedAt, recorded.job.finishedAt)
    status = recorded.status
    isRunning = recorded.status.isRunning
    self.residentBytes = residentBytes.map { ($0 >> 20) << 20 }
    let committed = recorded.attempts.filter { $0.record.outcome == .committed }
    // A completed stage has the number of rounds that it took.
    let last = committed.map(\.stage).max() ?? 0
    stageRounds = (1...plan.stages).map { stage in
      let isFinished = recorded.status.phase == .finished
      let isOver = stage < last || (stage == last && isFinished)
      // A cascade can end before its last stage.
      if isFinished && stage > last { return 0 }
      return plan.curriculum.isOpen && isOver
        ? committed.count { $0.stage == stage } : plan.mostRounds(stage: stage)
    }
    isOpen = plan.curriculum.isOpen && recorded.status.phase != .finished
    layers = Self.layers(plan, recorded.status, done: committed.map(\.stage), stageRounds)
    rounds = Self.rounds(committed, stageRounds)
    let given = recorded.attempts.filter { $0.record.outcome == .abandoned }
    abandoned = given.count
    abandonments = given.compactMap(Abandonment.init)
    let here = connected.map { Dictionary($0.map { ($0.name, $0) }) { $1 } }
    let validations = Validation.latest(of: rounds)
    clients = recorded.clients.map { client in
      let name = client.record.name
      return Client(client, here?[name], isKnown: here != nil, validations[name], at: now)
    }
    evaluation = Evaluation(recorded, plan)
    picture = Picture(recorded)
    cascade = CascadeAccount(plan, recorded.images)
    estimate = Estimate(recorded.status, recorded.attempts, plan, at: now)
    updatesAdmitted = recorded.clients.reduce(0) { $0 + $1.admitted }
    rejections = recorded.status.rejections ?? [:]
  }

  /// Returns the plan of a recorded job. Throws ``StoreError`` if this version cannot read it.
  package static func plan(of recorded: RecordedJob) throws(StoreError) -> Plan {
    do {
      return try recorded.job.readPlan(named: "")
    } catch {
      throw StoreError(StoreError.firstLine("the plan in the database cannot be read: \(error)"))
    }
  }

  private static func rounds(_ committed: [RecordedJob.Attempt], _ stageRounds: [Int]) -> [Round] {
    committed.map { attempt in
      let before = stageRounds.prefix(max(attempt.stage, 1) - 1).reduce(0, +)
      return Round(attempt, number: before.addingSaturating(attempt.record.number))
    }
  }

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
    // Only images have a stem, which embeds or convolves them.
    return (plan.encoder.input.isImages ? [layer("stem", \.trainsStem)] : []) + blocks
  }
}

extension Overview.Abandonment {
  /// Nil if no reason is recorded.
  init?(_ attempt: RecordedJob.Attempt) {
    guard let reason = attempt.record.reason else { return nil }
    (stage, round, self.attempt) = (attempt.stage, attempt.record.number, attempt.record.attempt)
    (self.reason, finishedAt) = (reason, attempt.record.finishedAt)
  }
}

extension Overview.Client {
  /// - Parameter isKnown: whether the server was asked for the connected clients.
  init(
    _ recorded: RecordedJob.Client, _ here: ConnectedClient?, isKnown: Bool,
    _ validation: Overview.Validation?, at now: Date
  ) {
    self.validation = validation
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

  /// Keeps the byte counts from decreasing: between two readings, bytes move from the connection's count to the
  /// store's.
  package mutating func keepUp(with before: Self) {
    receivedBytes = max(receivedBytes, before.receivedBytes)
    sentBytes = max(sentBytes, before.sentBytes)
  }
}
