import Client
import Engine
import Federation
import Foundation
import TestSupport
import Testing
import Wire

/// Layers on a client's disk: listed in its hello, repaired if damaged, decoded from differences.
@Suite(.unhurried) struct LayerRepairTests {
  private func layers(_ server: ScriptedServer) -> URL { server.state.appendingPathComponent("layers") }

  /// Runs the client through a round of a snapshot. Returns what it has fetched.
  private func round(
    _ snapshot: Snapshot, _ number: Int, _ session: ScriptedSession
  ) async throws -> [Digest] {
    try await session.send(.assignment(Assignment(snapshot, round: number)))
    let (fetched, message) = try await session.serve(snapshot)
    guard case .offer(let offer) = message else { throw Unexpected("\(message.name)") }
    #expect(offer.base == snapshot.base)
    try await session.send(.acknowledgement(Acknowledgement(key: offer.key)))
    return fetched
  }

  @Test(arguments: ["damaged", "shorter", "gone"]) func whatTheDiskHasLostIsFetchedAgainAndNothingElse(
    what: String
  ) async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      #expect(try await round(snapshot, 1, session) == snapshot.manifest.map(\.digest))
      let lost = snapshot.manifest[1]
      let file = layers(server).appendingPathComponent("\(lost.digest)")
      var bytes = try Data(contentsOf: file)
      switch what {
      case "damaged": bytes[bytes.count / 2] ^= 1
      case "shorter": bytes.removeLast()
      default: break
      }
      if what == "gone" {
        try FileManager.default.removeItem(at: file)
      } else {
        try bytes.write(to: file)
      }
      #expect(try await round(snapshot, 2, session) == [lost.digest])
      #expect(try Data(contentsOf: file) == snapshot.data(lost.digest))
      try await server.finish(session)
    }
  }

  /// The client lists its layers to the next server.
  @Test func theHelloNamesWhatIsHeld() async throws {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let snapshot = plan.snapshot()
      _ = try await round(snapshot, 1, session)
      await session.connection.close()
      let connection = try await server.listener.accept(limit: WireLimits.frameBeforeHello)
      guard case .hello(let hello) = try await connection.receive() else { throw Unexpected("no hello") }
      #expect(Set(hello.layers ?? []) == Set(snapshot.manifest.map(\.digest)))
      await connection.close()
    }
  }

  /// Returns a delta chain of two steps from the first version of a layer to the third.
  private func deltaChain(
    _ plan: Plan, _ first: Snapshot, _ third: Data
  ) throws -> (DeltaChain, coded: [Digest: Data], part: Int) {
    let position = first.manifest.count - 1
    let part = first.stage.model.parts[position]
    let coding = UpdateCoding(.float32, part, of: first.stage.model)
    let base = first.floats(first.manifest[position].digest)
    let middle = base.map { $0 * 1.5 }
    let end = third.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    let codes = [
      coding.encode(middle, base: base, seed: 1), coding.encode(end, base: middle, seed: 1),
    ]
    let versions = [first.manifest[position].digest, Digest(of: middle.withUnsafeBytes { Data($0) })]
    let steps = zip(versions, codes).map {
      DeltaChain.Step(from: $0, digest: Digest(of: $1), bytes: $1.count, codec: .float32)
    }
    let coded = Dictionary(uniqueKeysWithValues: codes.map { (Digest(of: $0), $0) })
    return (DeltaChain(to: Digest(of: third), steps: steps), coded, position)
  }

  private func third(_ first: Snapshot) -> Snapshot {
    let last = first.manifest[first.manifest.count - 1]
    let values = first.floats(last.digest).map { $0 * 2 + 0.01 }
    return first.replacing(parts: [last.name: values.withUnsafeBytes { Data($0) }])
  }

  @Test(arguments: [false, true]) func differencesBecomeTheLayerOrItIsFetchedWhole(isDamaged: Bool)
    async throws
  {
    let plan = Plan.tiny()
    try await withClient(plan) { server in
      let session = try await server.welcome()
      let first = plan.snapshot()
      _ = try await round(first, 1, session)
      let last = third(first)
      let changed = last.manifest[last.manifest.count - 1]
      let (chain, coded, position) = try deltaChain(plan, first, last.data(changed.digest)!)
      if isDamaged {
        // The base has the right length but other bytes.
        let file = layers(server).appendingPathComponent("\(first.manifest[position].digest)")
        var bytes = try Data(contentsOf: file)
        bytes[3] ^= 0x10
        try bytes.write(to: file)
      }
      var assignment = Assignment(last, round: 2)
      assignment.deltaChains = [chain]
      try await session.send(.assignment(assignment))
      var fetched: [Digest] = []
      var message = try await session.hear()
      while case .fetch(let fetch) = message {
        fetched.append(fetch.digest)
        let bytes = try #require(coded[fetch.digest] ?? last.data(fetch.digest))
        try await session.send(
          .layer(LayerData(digest: fetch.digest, offset: 0, total: bytes.count), bytes))
        message = try await session.hear()
      }
      guard case .offer(let offer) = message else { throw Unexpected("\(message.name)") }
      #expect(offer.base == last.base)
      #expect(fetched == chain.steps.map(\.digest) + (isDamaged ? [changed.digest] : []))
      let files = try FileManager.default.contentsOfDirectory(atPath: layers(server).path)
      #expect(Set(files) == Set(last.manifest.map(\.digest.description)), "no step stays behind")
      try await server.finish(session)
    }
  }
}
