import Client
import Datasets
import Engine
import Federation
import Foundation
import Server
import Simulation
import TestSupport
import Testing
import Wire

/// A real server and a real client, connected by a link that goes dark without notice. The time limits are five times
/// the usual ones, and heartbeats are shorter in proportion: six seconds correspond to fifteen.
@Suite(.unhurried(slack: 5)) struct DarkLinkTests {
  enum State: String, Sendable, CaseIterable { case idle, downloading, uploading }

  /// Returns a job whose layers and updates take some seconds on a slow link.
  private static func plan(cohort: Int) -> Plan {
    var plan = Plan.tiny(cohort: cohort)
    plan.encoder = EncoderConfiguration(image: 16, patch: 4, width: 128, depth: 1, heads: 4)
    return plan
  }

  /// The events of server and client, in order.
  private struct Told {
    let server: AsyncStream<ServerEvent>
    let client: AsyncStream<ClientEvent>
    let relay: LinkRelay
    let result: Task<Snapshot, any Error>

    /// Returns the first non-nil result of `pick`.
    func first<Found>(_ pick: (ServerEvent) -> Found?) async throws -> Found {
      for await event in server { if let found = pick(event) { return found } }
      throw CancellationError()
    }

    func first<Found>(_ pick: (ClientEvent) -> Found?) async throws -> Found {
      for await event in client { if let found = pick(event) { return found } }
      throw CancellationError()
    }

    /// Waits until more than `bytes` bytes were carried, which causes no event.
    func carried(_ bytes: Int, _ count: (LinkRelay.Counts) -> Int) async throws {
      while count(relay.counts) <= bytes { try await Task.sleep(for: .milliseconds(5)) }
    }
  }

  private func withLink(
    _ link: String, cohort: Int, patience: Duration, _ body: (Told) async throws -> Void
  ) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let state = folder.appendingPathComponent("a")
    try FileManager.default.createDirectory(at: state, withIntermediateDirectories: true)
    let (serverEvents, toldServer) = AsyncStream<ServerEvent>.makeStream()
    let (clientEvents, toldClient) = AsyncStream<ClientEvent>.makeStream()
    let server = try await Server(
      Self.plan(cohort: cohort), store: Store(folder.appendingPathComponent("strata.sqlite").path),
      endpoint: Endpoint(host: "127.0.0.1", port: 0), threads: 1, heartbeat: .seconds(0.4)
    ) { _ = toldServer.yield($0) }
    let relay = try await LinkRelay(LinkShape(parsing: link), to: server.endpoint, seed: 1)
    let set = Shapes.generate(count: 16, size: 16, channels: 3, seed: 1, role: .train)
    let configuration = Client.Configuration(
      server: relay.endpoint, name: "a", state: state, patience: patience)
    let client = Client(
      configuration, examples: { _ in .images(set) }, observer: { _ = toldClient.yield($0) })
    let relaying = Task { try await relay.run() }
    let serving = Task { try await server.run() }
    let training = Task { try await client.run() }
    let result: Result<Void, any Error>
    do {
      try await body(Told(server: serverEvents, client: clientEvents, relay: relay, result: serving))
      result = .success(())
    } catch {
      result = .failure(error)
    }
    training.cancel()
    _ = await training.result
    await server.stop()
    _ = await serving.result
    relay.shutDown()
    _ = await relaying.result
    try result.get()
  }

  private func reach(_ state: State, _ told: Told) async throws {
    switch state {
    case .idle: try await told.first { (event: ClientEvent) in if case .welcomed = event { () } else { nil } }
    case .downloading: try await told.carried(150_000) { $0.down }
    case .uploading: try await told.carried(150_000) { $0.up }
    }
  }

  /// The client does not retry. Each side must notice the silence independently, long before TCP does.
  @Test(arguments: State.allCases, LinkRelay.Darkness.allCases)
  func bothSidesNoticeTheSilence(state: State, darkness: LinkRelay.Darkness) async throws {
    let link = state == .uploading ? "1mbit/1gbit" : "1gbit/1mbit"
    try await withLink(link, cohort: state == .idle ? 2 : 1, patience: .milliseconds(1)) { told in
      try await reach(state, told)
      told.relay.darken(darkness)
      let here = try await told.first { (event: ClientEvent) in
        if case .disconnected(let reason) = event { reason } else { nil }
      }
      let there = try await told.first { (event: ServerEvent) in
        if case .left(_, let reason) = event { reason } else { nil }
      }
      #expect(here == "silent for 6 s")
      #expect(there == "silent for 6 s")
    }
  }

  /// A change of address is a link that goes dark and a new one: the client reconnects on it, and the job continues.
  @Test(arguments: State.allCases) func aClientWithANewAddressGoesOn(state: State) async throws {
    let link = state == .uploading ? "2mbit/1gbit" : "1gbit/2mbit"
    try await withLink(link, cohort: state == .idle ? 2 : 1, patience: .seconds(240)) { told in
      try await reach(state, told)
      told.relay.darken(.stuck)
      let reason = try await told.first { (event: ClientEvent) in
        if case .disconnected(let reason) = event { reason } else { nil }
      }
      #expect(reason == "silent for 6 s")
      try await told.first { (event: ClientEvent) in if case .welcomed = event { () } else { nil } }
      // Without a second client, an idle client stays idle.
      if state != .idle { _ = try await told.result.value }
    }
  }
}
