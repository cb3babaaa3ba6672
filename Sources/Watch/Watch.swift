import Engine
import Federation
import Foundation
import Server
import Support
import Wire

/// The eyes of those who look at a server while it runs: a page, an API, metrics, health. They change nothing, and
/// what becomes of them changes nothing for the rounds.
package struct Watch: Sendable {
  /// Where it listens, with the port that was chosen.
  package let endpoint: Endpoint
  private let web: WebServer
  private let snapshot: MetricsSnapshot
  private let shutdown = LingeringShutdown()

  /// Listens. Throws ``WireError/address(_:reason:)``, or ``StoreError`` where the database cannot be read.
  ///
  /// - Parameters:
  ///   - database: the path of the server's database.
  ///   - patience: how long the server has to say who is connected, before it counts as stuck.
  ///   - connected: who is connected to the server.
  package init(
    _ endpoint: Endpoint, _ plan: Plan, database: String, patience: Duration = .seconds(2),
    connected: @escaping @Sendable () async -> [ConnectedClient]
  ) async throws {
    try self.init(
      try await Listener(endpoint), plan, database: database, patience: patience, connected: connected)
  }

  /// The same at a port that is open. Throws ``StoreError``.
  package init(
    _ listener: Listener, _ plan: Plan, database: String, patience: Duration = .seconds(2),
    connected: @escaping @Sendable () async -> [ConnectedClient]
  ) throws {
    snapshot = MetricsSnapshot(try History(database), plan, patience: patience, connected: connected)
    web = WebServer(listener) { [site = Site(snapshot), shutdown = shutdown] request in
      let heard = shutdown.comes(with: request)
      var response = await site.answer(request)
      response.isSent = heard
      return response
    }
    endpoint = web.endpoint
  }

  /// Answers while `body` runs, and then until those who look regularly have heard how it ended: some seconds at most,
  /// fewer where it ended because it was cancelled, and none where nobody looks.
  package func during<Result: Sendable>(_ body: @Sendable () async throws -> Result) async rethrows -> Result
  {
    async let _: Void = web.run()
    defer { web.shutDown() }
    do {
      let result = try await body()
      await sayFarewell(within: WebLimits.farewell)
      return result
    } catch {
      await sayFarewell(within: error is CancellationError ? WebLimits.hastyFarewell : WebLimits.farewell)
      throw error
    }
  }

  /// Waits for nobody any more, where `body` has ended already.
  package func hurry() { shutdown.hurry() }

  private func sayFarewell(within patience: Duration) async {
    await snapshot.lookAnew()
    await shutdown.leaves(by: shutdown.end(within: patience))
  }
}

/// What this process has used, for the metrics that Prometheus has for every process.
package struct ProcessUse: Sendable {
  /// Bytes that are resident.
  package var residentBytes: Int
  /// Processor time, in seconds, of all threads.
  package var seconds: Double
  /// When it began; nil where the kernel does not tell.
  package var startedAt: Date?

  package init(residentBytes: Int, seconds: Double, startedAt: Date? = nil) {
    (self.residentBytes, self.seconds, self.startedAt) = (residentBytes, seconds, startedAt)
  }

  /// As the kernel says now.
  package static var now: ProcessUse {
    ProcessUse(
      residentBytes: ProcessMemory.resident, seconds: ProcessTime.used.seconds, startedAt: ProcessTime.start)
  }
}
