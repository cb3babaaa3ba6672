import Federation
import Foundation
import Server
import Wire

/// The eyes of those who look at a server while it runs: a page, an API, metrics, health. They change nothing, and
/// what becomes of them changes nothing for the rounds.
package struct Watch: Sendable {
  /// Where it listens, with the port that was chosen.
  package let endpoint: Endpoint
  private let web: WebServer

  /// Listens. Throws ``WireError/address(_:reason:)``, or ``StoreError`` where the database cannot be read.
  ///
  /// - Parameters:
  ///   - database: the path of the server's database.
  ///   - connected: who is connected to the server.
  package init(
    _ endpoint: Endpoint, _ plan: Plan, database: String,
    connected: @escaping @Sendable () async -> [ConnectedClient]
  ) async throws {
    try self.init(try await Listener(endpoint), plan, database: database, connected: connected)
  }

  /// The same at a port that is open. Throws ``StoreError``.
  package init(
    _ listener: Listener, _ plan: Plan, database: String,
    connected: @escaping @Sendable () async -> [ConnectedClient]
  ) throws {
    let site = Site(Observatory(try History(database), plan, connected: connected))
    web = WebServer(listener, answer: site.answer)
    endpoint = web.endpoint
  }

  /// Answers while `body` runs.
  package func during<Result: Sendable>(_ body: @Sendable () async throws -> Result) async rethrows -> Result
  {
    async let _: Void = web.run()
    defer { web.shutDown() }
    return try await body()
  }
}
