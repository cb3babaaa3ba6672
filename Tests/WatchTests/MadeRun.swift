import Engine
import Federation
import Foundation
import Server
import Watch

/// A database of a server in the middle of a job.
struct MadeRun {
  let plan: Plan
  let path: String
  /// The lock, which marks the database as used by a server while it is held.
  let lock: DatabaseLock

  /// Creates two stages of two rounds: the first is finished, and one attempt at its second round was abandoned.
  ///
  /// - Parameter clients: the names of the clients; the first has an admitted update in each round and a rejected one.
  init(_ folder: URL, named name: String = "made", clients: [String] = ["device-1", "device-2"]) throws {
    var plan = Plan(
      name: name, seed: 7,
      encoder: EncoderConfiguration(
        image: 8, channels: 1, patch: 4, width: 8, depth: 2, heads: 2, mlpRatio: 2),
      heads: HeadConfiguration(hidden: 8, output: 4))
    plan.method.roundsPerStage = .each(2)
    plan.round = Plan.RoundRules(cohort: 1)
    self.plan = plan
    path = folder.appendingPathComponent("strata.sqlite").path
    let store = try Store(path)
    lock = try DatabaseLock(path)
    let start = Date(timeIntervalSince1970: 1_790_000_000)
    let job = try store.openJob(plan, at: start)
    for client in clients {
      try store.join(Hello(name: client, software: "test/1"), at: start)
    }
    try store.addTraffic([clients[0]: (up: 1000, down: 2500)], at: start.addingTimeInterval(60))
    let stage = try store.openStage(1, depth: 1, of: job, at: start)
    let snapshot = plan.firstSnapshot()
    for (round, attempt) in [(1, 1), (2, 1), (2, 2)] {
      let key = RoundKey(stage: 1, round: round, attempt: attempt)
      var record = try store.openRound(key, of: stage, at: start)
      let bytes = Data([1, 2, 3, UInt8(attempt)])
      let offer = UpdateOffer(
        key: key, base: Digest(of: bytes), digest: Digest(of: bytes), bytes: 4, samples: 50, steps: 1,
        loss: 1,
        seconds: 1)
      if round == 2, attempt == 1 {
        try store.reject(offer, from: clients[0], to: record, .notFinite, at: start)
        try store.abandon(record, reason: "made up")
        continue
      }
      try store.admit(offer, bytes, from: clients[0], to: record, at: start)
      record.loss = 3 - Double(round) / 2
      (record.samples, record.seconds) = (50, 12.5)
      if round == 2 { record.waited = 30.25 }
      record.monitors = CollapseMonitors(
        alignment: 0.5, uniformity: -1.5, deviation: 0.75, effectiveRank: 4.5)
      record.finishedAt = start.addingTimeInterval(Double(60 * round))
      try store.commit(record, snapshot)
      if round == 1 {
        var metrics = RoundMetrics()
        metrics[.probe] = 0.4375
        try store.note(metrics, of: record)
      }
    }
    let engine = try JobEngine(plan, store: store, at: .zero)
    try store.note(engine.status(since: start, at: .zero, start))
  }

  /// The recorded job.
  var recorded: RecordedJob {
    get throws {
      guard let job = try History(path).job() else { throw Missing() }
      return job
    }
  }

  struct Missing: Error {}

  /// The overview without a server.
  var overview: Overview {
    get throws { Overview(try recorded, plan, at: Date(timeIntervalSince1970: 1_790_000_100)) }
  }
}

extension Overview {
  /// Returns the overview with other clients, the first of which has all the traffic.
  func with(clients names: [String]) -> Overview {
    var overview = self
    overview.clients = names.enumerated().map { index, name in
      var client = clients[min(index, 1)]
      client.name = name
      return client
    }
    return overview
  }
}

/// Runs `body` with a made run in a temporary folder.
func withMadeRun<Result>(
  named name: String = "made", clients: [String] = ["device-1", "device-2"],
  _ body: (MadeRun) async throws -> Result
) async throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try await body(try MadeRun(folder, named: name, clients: clients))
}
