import Engine
import Federation
import Foundation
import Server
import Support
import Wire

/// The monitoring of a running server: a page, an API, metrics and health. All are read-only, and their failures do not
/// affect the rounds.
package struct Watch: Sendable {
  /// The address that it listens on, with the port that was chosen.
  package let endpoint: Endpoint
  private let web: WebServer
  private let snapshot: MetricsSnapshot
  private let shutdown = LingeringShutdown()

  /// Starts listening. Throws ``WireError/address(_:reason:)``, or ``StoreError`` if the database cannot be read.
  ///
  /// - Parameters:
  ///   - database: the path of the server's database.
  ///   - patience: how long the server may take to list the connected clients before it counts as stuck.
  ///   - connected: returns the clients connected to the server.
  package init(
    _ endpoint: Endpoint, _ plan: Plan, database: String, patience: Duration = .seconds(2),
    connected: @escaping @Sendable () async -> [ConnectedClient]
  ) async throws {
    try self.init(
      try await Listener(endpoint), plan, database: database, patience: patience, connected: connected)
  }

  /// Uses a port that is already open. Throws ``StoreError``.
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

  /// Serves while `body` runs, and then until regular pollers have received its outcome: for some seconds at most,
  /// fewer if `body` was cancelled, and none without pollers.
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

  /// Ends the waiting for pollers, if `body` has ended.
  package func hurry() { shutdown.hurry() }

  private func sayFarewell(within patience: Duration) async {
    await snapshot.lookAnew()
    await shutdown.leaves(by: shutdown.end(within: patience))
  }
}

/// The resources used by this process, for Prometheus's standard process metrics.
package struct ProcessUse: Sendable {
  /// The resident memory in bytes.
  package var residentBytes: Int
  /// The processor time of all threads in seconds.
  package var seconds: Double
  /// The start time; nil if the kernel does not report it.
  package var startedAt: Date?

  package init(residentBytes: Int, seconds: Double, startedAt: Date? = nil) {
    (self.residentBytes, self.seconds, self.startedAt) = (residentBytes, seconds, startedAt)
  }

  /// The current values.
  package static var now: ProcessUse {
    ProcessUse(
      residentBytes: ProcessMemory.resident, seconds: ProcessTime.used.seconds, startedAt: ProcessTime.start)
  }
}
