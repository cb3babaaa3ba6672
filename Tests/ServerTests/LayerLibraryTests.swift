import TestSupport
import Engine
import Federation
import Foundation
import Server
import Testing
import Wire

@Suite struct LayerLibraryTests {
  private var plan: Plan {
    var plan = Plan.tiny(rounds: .each(20))
    plan.traffic.layers = .int8
    return plan
  }

  private func key(_ round: Int) -> RoundKey { RoundKey(stage: 1, round: round) }

  /// Returns the snapshot after a round that changes the trained parts slightly.
  private func draft(_ old: Snapshot, _ round: Int) -> Snapshot {
    let parts = old.stage.parts.map { part -> (String, Data) in
      let digest = old.manifest.first { $0.name == part.name }!.digest
      var numbers = RandomNumbers(UInt64(round), part.name)
      let values = old.floats(digest).map { $0 + 0.01 * Float(numbers.normal()) }
      return (part.name, values.data)
    }
    return old.replacing(parts: Dictionary(uniqueKeysWithValues: parts))
  }

  /// Decodes the delta chains to `to` like a client that holds `from`.
  private func walk(_ chains: [DeltaChain], _ library: LayerLibrary, from: Snapshot, to: Snapshot) throws
    -> Int
  {
    var bytes = 0
    for (part, version) in zip(to.stage.model.parts, to.manifest) where from.data(version.digest) == nil {
      // A small layer can be shorter than any delta chain.
      guard let path = chains.first(where: { $0.to == version.digest })?.path(holds: { from.data($0) != nil })
      else { continue }
      var values = path[0].from.map { from.floats($0) } ?? [Float](repeating: 0, count: part.range.count)
      for step in path {
        let coded = try #require(library.data(step.digest))
        #expect(coded.count == step.bytes && Digest(of: coded) == step.digest)
        values = try UpdateCoding(step.codec, part, of: to.stage.model).decode(coded, base: values)
        bytes += coded.count
      }
      #expect(Digest(of: values.data) == version.digest, "what is decoded is the global model")
    }
    return bytes
  }

  @Test func everyClientDecodesTheGlobalModelFromWhateverItHolds() throws {
    var plan = plan
    plan.heads = HeadConfiguration(hidden: 64, output: 32)
    var versions = [plan.firstSnapshot()]
    var library = LayerLibrary(plan, steps: [], to: versions[0])
    for round in 1...4 {
      let wanted = draft(versions[round - 1], round)
      let (published, changes) = library.publish(wanted, after: versions[round - 1], key(round))
      #expect(changes.steps.count == published.stage.parts.count)
      #expect(published.manifest != wanted.manifest, "it differs by what int8 cannot say")
      versions.append(published)
    }
    let last = versions[4]
    for (round, version) in versions.enumerated().dropFirst(2) {
      let held = Set(version.manifest.map(\.digest))
      let bytes = try walk(
        library.deltaChains(to: last.manifest, of: last, holding: held), library, from: version, to: last)
      #expect(round == 4 ? bytes == 0 : bytes > 0, "\(bytes) bytes after round \(round)")
    }
    // The same encoding for every client.
    let held = Set(versions[3].manifest.map(\.digest))
    #expect(
      library.deltaChains(to: last.manifest, of: last, holding: held)
        == library.deltaChains(to: last.manifest, of: last, holding: held.union([Digest(of: Data())])))
  }

  @Test func aWayIsNeverLongerThanTheLayer() throws {
    let plan = plan
    var old = plan.firstSnapshot()
    var library = LayerLibrary(plan, steps: [], to: old)
    for round in 1...20 {
      old = library.publish(draft(old, round), after: old, key(round)).0
      for version in old.manifest {
        let steps = library.chains[version.name] ?? []
        #expect(steps.reduce(0) { $0 + $1.delta.bytes } < version.bytes, "\(version.name)")
      }
    }
    #expect(library.chains.values.contains { $0.count > 1 })
  }

  @Test func whoHoldsNothingGetsTheWholeCodedWhereThatIsShorter() throws {
    var plan = plan
    plan.heads = HeadConfiguration(hidden: 64, output: 32)
    let model = plan.firstSnapshot()
    var library = LayerLibrary(plan, steps: [], to: model)
    let chains = library.deltaChains(to: model.manifest, of: model, holding: [])
    #expect(!chains.isEmpty)
    for chain in chains {
      let (version, whole) = (
        try #require(model.manifest.first { $0.digest == chain.to }), try #require(chain.fullDelta)
      )
      #expect(whole.bytes < version.bytes)
      let part = try #require(model.stage.model.part(version.name))
      let zeros = [Float](repeating: 0, count: part.range.count)
      let coded = try #require(library.data(whole.digest))
      let values = try UpdateCoding(.float32, part, of: model.stage.model).decode(coded, base: zeros)
      #expect(values == model.floats(chain.to))
    }
  }

  @Test func theWaysSurviveARestart() async throws {
    try await withTemporaryFolder { folder in
      let plan = plan
      let path = folder.appendingPathComponent("strata.sqlite").path
      var store = try Store(path)
      let job = try store.openJob(plan, at: .now)
      let stage = try store.openStage(1, depth: 1, of: job, at: .now)
      var old = plan.firstSnapshot()
      var library = LayerLibrary(plan, steps: [], to: old)
      for round in 1...6 {
        let (published, changes) = library.publish(draft(old, round), after: old, key(round))
        try store.commit(try store.openRound(key(round), of: stage, at: .now), published, changes)
        old = published
      }
      store = try Store(path)
      let again = LayerLibrary(plan, steps: try store.steps(), to: old)
      #expect(again.chains.mapValues { $0.map(\.delta) } == library.chains.mapValues { $0.map(\.delta) })
      // They are not delta chains of a model other than the last committed one.
      #expect(LayerLibrary(plan, steps: try store.steps(), to: plan.firstSnapshot()).chains.isEmpty)
    }
  }

  @Test func plainLayersStayAsTheyAre() {
    let plan = Plan.tiny()
    let model = plan.firstSnapshot()
    var library = LayerLibrary(plan, steps: [], to: model)
    let wanted = draft(model, 1)
    let (published, changes) = library.publish(wanted, after: model, key(1))
    #expect(published.manifest == wanted.manifest && changes.steps.isEmpty)
    #expect(library.deltaChains(to: published.manifest, of: published, holding: []).isEmpty)
  }
}
