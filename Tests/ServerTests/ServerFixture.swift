import TestSupport
import Engine
import Federation
import Foundation
import Server
import Support
import Wire

extension Plan {
  /// A job of two stages whose model is a few kilobytes.
  static func tiny(
    cohort: Int = 3, quorum: Int? = nil, rounds: Method.Rounds = .each(1), deadline: TimeSpan = .hours(4),
    attempts: Int = 3, seed: UInt64 = 7
  ) -> Plan {
    var plan = Plan(
      name: "tiny", seed: seed,
      encoder: EncoderConfiguration(
        image: 8, channels: 1, patch: 4, width: 8, depth: 2, heads: 2, mlpRatio: 2),
      heads: HeadConfiguration(hidden: 8, output: 4))
    plan.method.roundsPerStage = rounds
    plan.local.batch = 8
    plan.round = RoundRules(cohort: cohort, quorum: quorum, attempts: attempts, deadline: deadline)
    return plan
  }
}

/// A running server and its events.
struct RunningServer {
  let endpoint: Endpoint
  let events: EventLog<ServerEvent>
  fileprivate let server: Server
  fileprivate let running: Task<Snapshot, any Error>

  /// Returns the final model; throws the error of the run.
  func result() async throws -> Snapshot {
    try await withTaskCancellationHandler {
      try await running.value
    } onCancel: {
      running.cancel()
      Task { await server.stop() }
    }
  }

  func stop() async { await server.stop() }

  /// Returns the connected clients.
  func connected() async -> [ConnectedClient] { await server.connected() }
}

/// Runs `body` with a server of `plan` on the database at `path`, and ends the server if it still runs.
func withServer<Result: Sendable>(
  _ plan: Plan, _ path: String, access: Access = Access(),
  unauthenticated: ConnectionLimiter.Limits = ConnectionLimiter.Limits(),
  observer: @escaping @Sendable (ServerEvent) -> Void = { _ in },
  _ body: (RunningServer) async throws -> Result
) async throws -> Result {
  let events = EventLog<ServerEvent>()
  let server = try await Server(
    plan, store: try Store(path), endpoint: Endpoint(host: "127.0.0.1", port: 0), threads: 1,
    access: access, unauthenticated: unauthenticated
  ) { event in
    events.note(event)
    observer(event)
  }
  let running = Task { try await server.run() }
  let result: Swift.Result<Result, any Error>
  do {
    result = .success(
      try await body(
        RunningServer(endpoint: server.endpoint, events: events, server: server, running: running)))
  } catch {
    result = .failure(error)
  }
  await server.stop()
  _ = await running.result
  return try result.get()
}

/// Uses a temporary folder.
func withServer<Result: Sendable>(
  _ plan: Plan, observer: @escaping @Sendable (ServerEvent) -> Void = { _ in },
  _ body: (RunningServer, _ database: String) async throws -> Result
) async throws -> Result {
  try await withTemporaryFolder { folder in
    let path = folder.appendingPathComponent("strata.sqlite").path
    return try await withServer(plan, path, observer: observer) { try await body($0, path) }
  }
}
