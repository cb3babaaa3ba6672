import Engine
import Foundation
import Server
import Testing
import Watch

@Suite struct OverviewTests {
  @Test func aRunIsSeenAsItIsRecorded() async throws {
    try await withMadeRun { run in
      let overview = try run.overview
      #expect(overview.name == "made" && overview.plannedRounds == 4 && overview.abandoned == 1)
      let attempt = try #require(overview.abandonments.first)
      #expect((attempt.stage, attempt.round, attempt.attempt) == (1, 2, 1) && attempt.reason == "made up")
      #expect(overview.rounds.map(\.number) == [1, 2] && overview.rounds.map(\.attempt) == [1, 2])
      #expect(overview.rounds.map(\.loss) == [2.5, 2] && overview.rounds.map(\.clients) == [1, 1])
      #expect(overview.rounds[1].monitors?.effectiveRank == 4.5)
      #expect(overview.status.stage == 2 && overview.status.phase == .recruiting)
      #expect(overview.updatesAdmitted == 2 && overview.rejections == ["notFinite": 1])
      let client = try #require(overview.clients.first)
      #expect(client.name == "device-1" && client.admitted == 2 && client.rejected == 1)
      #expect(client.connection == nil, "nobody was asked")
      #expect(client.receivedBytes == 1000 && client.sentBytes == 2500 && client.samples == 50)
    }
  }

  /// Layer-wise, in the second stage: the stem was trained with the first layer.
  @Test func theStackFillsFromBelow() async throws {
    try await withMadeRun { run in
      let layers = try run.overview.layers
      #expect(layers.map(\.name) == ["stem", "blocks.0", "blocks.1"])
      #expect(layers.map(\.state) == [.frozen, .frozen, .training])
      #expect(layers.map(\.done) == [2, 2, 0] && layers.map(\.rounds) == [2, 2, 2])
      // Nodes have no stem.
      var plan = run.plan
      plan.encoder = EncoderConfiguration(GraphConvolutionConfiguration(features: 8, width: 4, depth: 2))
      let graph = Overview(try run.recorded, plan, at: Date())
      #expect(graph.layers.map(\.name) == ["blocks.0", "blocks.1"])
    }
  }

  @Test func whatTrainsThroughoutIsNeverFrozenBeforeTheEnd() async throws {
    try await withMadeRun { run in
      var plan = run.plan
      plan.method.strategy = .progressive
      var overview = Overview(try run.recorded, plan, at: Date())
      #expect(overview.layers.map(\.state) == [.training, .training, .training])
      #expect(overview.layers.map(\.rounds) == [4, 4, 2])
      plan.method.strategy = .endToEnd
      overview = Overview(try run.recorded, plan, at: Date())
      #expect(overview.layers.map(\.rounds) == [4, 4, 4] && overview.stageRounds == [4])
    }
  }

  @Test func aConnectedClientCountsWhatIsNotStoredYet() async throws {
    try await withMadeRun { run in
      let here = ConnectedClient(
        name: "device-1", received: 40, sent: 60, silence: .seconds(3), memory: 5 << 20)
      let now = Date(timeIntervalSince1970: 1_790_000_100.7)
      let overview = Overview(try run.recorded, run.plan, connected: [here], at: now)
      let client = overview.clients[0]
      #expect(client.connection == true && client.receivedBytes == 1040 && client.sentBytes == 2560)
      #expect(client.lastContact == Date(timeIntervalSince1970: 1_790_000_097))
      #expect(client.residentBytes == 5 << 20)
      #expect(client.activity == .idle && client.step == nil)
      #expect(overview.clients[1].activity == nil, "it is not connected")
      // Meanwhile the bytes were added to the store, and the connection's count was reset.
      var later = try run.overview.clients[0]
      later.keepUp(with: client)
      #expect(later.receivedBytes == 1040 && later.sentBytes == 2560)
    }
  }

  @Test func itHoldsNoSecretAndNoAddress() async throws {
    try await withMadeRun { run in
      let text = String(decoding: try JSONEncoder().encode(try run.overview), as: UTF8.self)
      for word in ["127.0.0.1", "/tmp", "sqlite", "key", "code\"", "tls"] {
        #expect(!text.lowercased().contains(word), "\(word)")
      }
    }
  }
}
