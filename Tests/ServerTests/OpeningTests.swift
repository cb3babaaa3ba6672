import Engine
import Federation
import Foundation
import Server
import TestSupport
import Testing

@Suite(.unhurried) struct OpeningTests {
  @Test func transferCopiesTheLayerBelowAndKeepsTheRest() {
    let plan = Plan.tiny()
    let below = trained(plan.firstSnapshot())
    let grown = plan.grow(below)
    #expect(grown.manifest.map(\.name) == ["stem", "blocks.0", "blocks.1", "norm", "projector"])
    let old = digests(below)
    let new = digests(grown)
    for name in ["stem", "blocks.0", "norm", "projector"] { #expect(new[name] == old[name], "\(name)") }
    #expect(new["blocks.1"] == old["blocks.0"])
  }

  @Test func randomInitialisationCopiesNothingIntoTheNewLayer() {
    var plan = Plan.tiny()
    plan.method.initialisation = .random
    let below = trained(plan.firstSnapshot())
    let (old, new) = (digests(below), digests(plan.grow(below)))
    #expect(new["blocks.0"] == old["blocks.0"] && new["stem"] == old["stem"])
    #expect(!old.values.contains(new["blocks.1"]!))
    #expect(digests(plan.grow(below)) == new, "it follows from the seed")
  }

  @Test func anotherSeedIsAnotherFirstModel() {
    let one = Plan.tiny(seed: 1).firstSnapshot()
    #expect(one.base == Plan.tiny(seed: 1).firstSnapshot().base)
    #expect(one.base != Plan.tiny(seed: 2).firstSnapshot().base)
  }

  /// A database with other layers than the plan's is rejected before the port is opened.
  @Test func aDatabaseOfAnotherModelIsRejected() async throws {
    try await withTemporaryFolder { folder in
      let plan = Plan.tiny(rounds: .each(2))
      let path = folder.appendingPathComponent("strata.sqlite").path
      let store = try Store(path)
      let stage = try store.openStage(
        1, depth: 1, of: try store.openJob(plan, at: Date()), at: Date())
      let round = try store.openRound(RoundKey(stage: 1, round: 1), of: stage, at: Date())
      try store.commit(round, plan.grow(plan.firstSnapshot()))
      let error = await #expect(throws: ServerError.self) { try await withServer(plan, path) { _ in } }
      guard case .inconsistentStore? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }

  /// The decision of a curriculum is stored with the round. A restarted server uses it, whatever it would decide now.
  @Test func aStoredDecisionHolds() async throws {
    try await withTemporaryFolder { folder in
      var plan = Plan.tiny(cohort: 1, rounds: .each(5))
      plan.method.stageEnd = Plan.StageEnd(.plateau, window: 1, improvement: 1)
      var driver = try JobEngineDriver(plan, folder, ["a"])
      for _ in 1...2 { #expect(try driver.submit("a", distance: 0.1) == nil) }
      #expect(
        driver.engine.round.key == RoundKey(stage: 2, round: 1), "a loss that stands still ends a stage")
      let job = try driver.store.openJob(plan, at: Date())
      let last = try #require(try driver.store.lastCommitted(of: job))
      #expect(last.round.number == 2 && last.round.decision == .beginStage)
      let history = try driver.store.history(of: job)
      #expect(history.map { $0.map { $0[.loss] } } == [[1, 1], []])
      #expect(plan.curriculum.isOpen && driver.engine.status(since: Date(), at: .zero, Date()).isOpen == true)
      driver = try JobEngineDriver(plan, folder, ["a"])
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 1))
    }
  }

  /// Returns the model with every weight changed, so that it cannot equal a first model by chance.
  private func trained(_ snapshot: Snapshot) -> Snapshot {
    let old = snapshot.manifest.flatMap { snapshot.data($0.digest)?.floats ?? [] }
    return snapshot.replacing(trained: old.map { $0 + 0.25 })
  }

  private func digests(_ snapshot: Snapshot) -> [String: Digest] {
    Dictionary(uniqueKeysWithValues: snapshot.manifest.map { ($0.name, $0.digest) })
  }
}
