import Engine
import Federation
import Foundation
import Server
import Support

/// What those who watch a server are shown, made anew at most once a second however many of them ask, and so that it
/// takes no more than a twentieth of the time.
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
  ///   - history: the server's own database.
  ///   - patience: how long the coordinator has to answer.
  ///   - connected: who is connected; one that is stuck is not waited for.
  package init(
    _ history: History, _ plan: Plan, patience: Duration,
    connected: @escaping @Sendable () async -> [ConnectedClient]
  ) {
    (self.history, self.plan, self.patience, self.connected) = (history, plan, patience, Question(connected))
  }

  /// Whether the coordinator answers.
  package nonisolated func isAlive() async -> Bool {
    await connected.answer(within: patience) != nil
  }

  /// The present state; nil as long as nothing is recorded. Throws ``StoreError``.
  package func overview() async throws -> Overview? {
    if let next, clock.now < next, let latest { return latest }
    let task = looking ?? Task { try await self.look() }
    looking = task
    return try await task.value
  }

  /// What is asked for from now on is no older than this moment.
  package func lookAnew() async {
    if let looking { _ = try? await looking.value }
    next = nil
  }

  private func look() async throws -> Overview? {
    defer { looking = nil }
    let start = clock.now
    // First what is stored, then what is not: the other way round bytes might be counted twice.
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
