import Engine
import Federation
import Foundation
import Server
import Support

/// An overview in Prometheus's text format, version 0.0.4. Units are base units; counters end in `_total`.
package struct Metrics: Sendable {
  /// One line of a metric: its labels and its value.
  private typealias Sample = (labels: [(String, String)], value: Double)

  /// The whole text, which ends with a line feed.
  package let text: String

  package init(_ overview: Overview, _ process: ProcessUse) {
    let families =
      Self.job(overview) + Self.rounds(overview) + Self.lastRound(overview) + Self.updates(overview)
      + Self.clients(overview) + Self.process(process, overview)
    text = families.joined()
  }

  // MARK: - Metric families

  private static func job(_ overview: Overview) -> [String] {
    let status = overview.status
    let phases = ServerStatus.Phase.allCases.map { phase in
      ([("phase", phase.rawValue)], phase == status.phase ? 1.0 : 0)
    }
    return [
      family("strata_phase", .gauge, "What the server does: 1 for its phase, 0 for all others.", phases),
      gauge("strata_stage", "The current stage, counted from 1.", status.stage),
      gauge("strata_stages", "Stages of the plan.", status.stages),
      gauge("strata_round", "The current round, counted from 1 in each stage.", status.round),
      gauge("strata_stage_rounds", "Rounds of the current stage.", status.rounds),
      gauge("strata_planned_rounds", "Rounds of the whole plan.", overview.plannedRounds),
      gauge("strata_round_attempt", "The attempt at the current round, counted from 1.", status.attempt),
      gauge("strata_phase_start_time_seconds", "When the phase began, Unix time.", status.since),
    ] + estimates(overview)
  }

  /// Returns the available estimates.
  private static func estimates(_ overview: Overview) -> [String] {
    [
      ("round", "the current round", overview.estimate.roundEnd),
      ("job", "the job", overview.estimate.jobEnd),
    ].compactMap { name, what, end in
      end.map {
        gauge(
          "strata_estimated_\(name)_end_timestamp_seconds",
          "Estimated end of \(what), Unix time.",
          $0)
      }
    }
  }

  private static func rounds(_ overview: Overview) -> [String] {
    func summary(_ name: String, _ help: String, _ values: [Double]) -> String {
      head(name, .summary, help)
        + line(name + "_sum", [], values.reduce(0, +)) + line(name + "_count", [], Double(values.count))
    }
    return [
      counter("strata_rounds_committed_total", "Rounds that were committed.", overview.rounds.count),
      counter("strata_rounds_abandoned_total", "Abandoned attempts at rounds.", overview.abandoned),
      summary(
        "strata_round_duration_seconds", "Duration of committed rounds.",
        overview.rounds.compactMap(\.seconds)),
      summary(
        "strata_round_wait_seconds", "Wait for clients before committed rounds.",
        overview.rounds.compactMap(\.waited)),
    ]
  }

  /// Returns the figures of the last committed round that are available.
  private static func lastRound(_ overview: Overview) -> [String] {
    guard let last = overview.rounds.last else { return [] }
    let figures: [(String, String, Double?)] = [
      ("clients", "Clients whose updates were admitted", Double(last.clients)),
      ("wait_seconds", "Wait for clients before the round", last.waited),
    ]
    return Metric.all.compactMap { metric($0, overview) }
      + figures.compactMap { name, help, value in
        value.map {
          family("strata_last_round_\(name)", .gauge, "\(help); the last committed round.", [([], $0)])
        }
      }
  }

  /// The latest values of a metric: of the last round that has any. Nil where none has.
  private static func metric(_ metric: Metric, _ overview: Overview) -> String? {
    for round in overview.rounds.reversed() {
      let samples: [Sample] = round.metrics.rows.filter { $0.name == metric.name }
        .prefix(WebLimits.clients).map { row in
          (
            [("client", row.client), ("layer", row.layer)].compactMap { name, value in
              value.map { (name, $0) }
            }, row.value
          )
        }
      guard samples.isEmpty else {
        return family(
          "strata_\(metric.exportedName)", .gauge, "\(metric.help); the last round that has it.", samples)
      }
    }
    return nil
  }

  private static func updates(_ overview: Overview) -> [String] {
    let known = Rejection.allCases.map(\.rawValue)
    let rejected = known.map { ([("reason", $0)], Double(overview.rejections[$0] ?? 0)) }
    return [
      counter("strata_updates_admitted_total", "Updates that were admitted.", overview.updatesAdmitted),
      family("strata_updates_rejected_total", .counter, "Updates that were rejected, by reason.", rejected),
      gauge("strata_round_cohort_clients", "Clients that were asked to train.", overview.status.cohort),
      gauge(
        "strata_round_admitted_updates", "Admitted updates of the current round.", overview.status.admitted),
      gauge(
        "strata_round_quorum_updates", "Updates that the current round needs to be committed.",
        overview.status.quorum),
    ]
  }

  private static func clients(_ overview: Overview) -> [String] {
    let shown = overview.latestClients
    func each(_ name: String, _ kind: Kind, _ help: String, _ value: (Overview.Client) -> Double?) -> String {
      let samples = shown.compactMap { client in value(client).map { ([("client", client.name)], $0) } }
      return samples.isEmpty ? "" : family(name, kind, help, samples)
    }
    return [
      gauge(
        "strata_clients_connected", "Clients that are connected.",
        overview.clients.count(where: \.isConnected)),
      gauge(
        "strata_clients_not_asked", "Connected clients that are not asked to train for now.",
        overview.status.notAsked?.count ?? 0),
      family(
        "strata_clients_active", .gauge, "Connected clients, by activity.",
        ClientActivity.allCases.map { activity in
          ([("activity", activity.rawValue)], Double(overview.clients.count { $0.activity == activity }))
        }),
      gauge("strata_clients_known", "Clients that have ever joined.", overview.clients.count),
      counter(
        "strata_received_bytes_total", "Bytes from all clients.",
        overview.total(\.receivedBytes)),
      counter("strata_sent_bytes_total", "Bytes to all clients.", overview.total(\.sentBytes)),
      each("strata_client_connected", .gauge, "Whether a client is connected.") { $0.isConnected ? 1 : 0 },
      each("strata_client_last_contact_timestamp_seconds", .gauge, "Last contact with a client, Unix time.") {
        $0.lastContact.timeIntervalSince1970
      },
      each("strata_client_received_bytes_total", .counter, "Bytes from a client.") {
        Double($0.receivedBytes)
      },
      each("strata_client_sent_bytes_total", .counter, "Bytes to a client.") { Double($0.sentBytes) },
      each("strata_client_resident_memory_bytes", .gauge, "Resident memory that a client reports.") {
        $0.residentBytes.map(Double.init)
      },
      each("strata_client_updates_admitted_total", .counter, "Admitted updates of a client.") {
        Double($0.admitted)
      },
      each("strata_client_updates_rejected_total", .counter, "Rejected updates of a client.") {
        Double($0.rejected)
      },
    ]
  }

  private static func process(_ process: ProcessUse, _ overview: Overview) -> [String] {
    [
      family(
        "strata_build_info", .gauge, "The server's version; always 1.",
        [([("version", overview.software)], 1)]),
      gauge("process_resident_memory_bytes", "Resident memory of the server.", process.residentBytes),
      family(
        "process_cpu_seconds_total", .counter, "Processor time of the server, user and system.",
        [([], process.seconds)]),
    ]
      + (process.startedAt.map {
        [gauge("process_start_time_seconds", "When the server's process began, Unix time.", $0)]
      } ?? [])
  }

  // MARK: - Text format

  private enum Kind: String { case gauge, counter, summary }

  private static func gauge(_ name: String, _ help: String, _ value: Int) -> String {
    family(name, .gauge, help, [([], Double(value))])
  }

  private static func gauge(_ name: String, _ help: String, _ value: Date) -> String {
    family(name, .gauge, help, [([], value.timeIntervalSince1970)])
  }

  private static func counter(_ name: String, _ help: String, _ value: Int) -> String {
    family(name, .counter, help, [([], Double(value))])
  }

  private static func family(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) -> String {
    head(name, kind, help) + samples.map { line(name, $0.labels, $0.value) }.joined()
  }

  private static func head(_ name: String, _ kind: Kind, _ help: String) -> String {
    "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  private static func line(_ name: String, _ labels: [(String, String)], _ value: Double) -> String {
    let list = labels.map { "\($0.0)=\"\(escape($0.1))\"" }.joined(separator: ",")
    return name + (list.isEmpty ? "" : "{\(list)}") + " \(number(value))\n"
  }

  /// Escapes the value of a label.
  private static func escape(_ text: String) -> String {
    text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }

  private static func number(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf" }
    return Int(exactly: value).map { "\($0)" } ?? "\(value)"
  }
}

/// The overview shared by all pollers. It is computed at most once per second, and takes at most a twentieth of the
/// time.
package actor MetricsSnapshot {
  private let history: History
  private let plan: Plan
  private let connected: Question<[ConnectedClient]>
  private let clock = ContinuousClock()
  private var latest: Overview?
  private var next: ContinuousClock.Instant?
  private var looking: Task<Overview?, any Error>?

  private let patience: Duration

  /// - Parameters:
  ///   - history: the server's database.
  ///   - patience: how long to wait for the coordinator's answer.
  ///   - connected: returns the connected clients; if it does not answer in time, the overview omits them.
  package init(
    _ history: History, _ plan: Plan, patience: Duration,
    connected: @escaping @Sendable () async -> [ConnectedClient]
  ) {
    (self.history, self.plan, self.patience, self.connected) = (history, plan, patience, Question(connected))
  }

  /// Returns whether the coordinator answers.
  package nonisolated func isAlive() async -> Bool {
    await connected.answer(within: patience) != nil
  }

  /// Returns the current state; nil if nothing is recorded yet. Throws ``StoreError``.
  package func overview() async throws -> Overview? {
    if let next, clock.now < next, let latest { return latest }
    let task = looking ?? Task { try await self.look() }
    looking = task
    return try await task.value
  }

  /// Makes later overviews at least as recent as this call.
  package func lookAnew() async {
    if let looking { _ = try? await looking.value }
    next = nil
  }

  private func look() async throws -> Overview? {
    defer { looking = nil }
    let start = clock.now
    // Reads the database first: in the other order, bytes could be counted twice.
    let recorded = try history.job()
    let cost = clock.now - start
    let here = await connected.answer(within: patience)
    next = clock.now + max(.seconds(1), cost * 20)
    guard let recorded else { return nil }
    var overview = Overview(
      recorded, plan, connected: here, residentBytes: ProcessMemory.resident, at: Date())
    let before = Dictionary((latest?.clients ?? []).map { ($0.name, $0) }) { $1 }
    for index in overview.clients.indices {
      if let old = before[overview.clients[index].name] { overview.clients[index].keepUp(with: old) }
    }
    latest = overview
    return overview
  }
}
