import Engine
import Federation
import Foundation
import Server
import TestSupport
import Testing
import Wire

/// Rounds of a cascade, in which clients may have no images left.
@Suite struct CascadeTests {
  private func plan(batch: Int = 8, quorum: Int = 2, rounds: Int = 2) -> Plan {
    var plan = Plan.tiny(cohort: 2, quorum: quorum, rounds: .each(rounds))
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(3))
    plan.method.cascade = Plan.Cascade()
    plan.local.batch = batch
    return plan
  }

  /// Returns a driver at the beginning of stage 2; each client has reported ten images.
  private func driver(_ plan: Plan, _ folder: URL) throws -> JobEngineDriver {
    var driver = try JobEngineDriver(plan, folder, ["a", "b"])
    for _ in 0..<plan.mostRounds(stage: 1) {
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.1) == nil) }
    }
    #expect(driver.engine.round.key == RoundKey(stage: 2, round: 1))
    return driver
  }

  private func empty(_ assignment: Assignment) -> UpdateOffer {
    UpdateOffer(emptyFor: assignment.key, base: Snapshot.base(of: assignment.parts))
  }

  /// The round goes on without a client that has nothing left, whatever the rule of aggregation: the new model is the
  /// other client's update.
  @Test(arguments: AggregationRule.allCases)
  func aClientWithoutImagesTakesNoPart(rule: AggregationRule) throws {
    try withTemporaryFolder { folder in
      var plan = plan()
      plan.round.aggregation = rule
      var driver = try driver(plan, folder)
      let (a, b) = (try #require(driver.assignments["a"]), try #require(driver.assignments["b"]))
      let before = driver.trained(b)
      #expect(try driver.judge(empty(a), Data(), from: "a") == nil)
      #expect(try driver.submit("b", distance: 0.5) == nil)
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 2))
      #expect(driver.trained(b) == before.map { $0 * 1.5 })
      let last = try #require(try driver.store.committedRounds().last)
      #expect(last.round.samples == 10)
      let stages = try driver.store.stageImages()
      #expect(stages.map(\.images) == [["a": 10, "b": 10], ["a": 0, "b": 10]])
      #expect(stages.map(\.trained) == [40, 10] && stages.map(\.rounds) == [2, 1])
    }
  }

  /// A client may have no node with a label for training, from the first stage on.
  @Test func aClientWithoutLabelledNodesTakesNoPart() throws {
    try withTemporaryFolder { folder in
      var plan = plan()
      plan.encoder = EncoderConfiguration(GraphConvolutionConfiguration(features: 5, width: 3, depth: 2))
      (plan.method.initialisation, plan.method.cascade) = (.random, nil)
      var driver = try JobEngineDriver(plan, folder, ["a", "b"])
      let a = try #require(driver.assignments["a"])
      #expect(try driver.judge(empty(a), Data(), from: "a") == nil)
      #expect(try driver.submit("b", distance: 0.5) == nil)
      #expect(driver.engine.round.key == RoundKey(stage: 1, round: 2))
    }
  }

  /// It is not asked again in the stage as long as the others are a quorum, also after a restart.
  @Test func aClientWithoutImagesRests() throws {
    try withTemporaryFolder { folder in
      let plan = plan(quorum: 1, rounds: 3)
      var driver = try driver(plan, folder)
      let a = try #require(driver.assignments["a"])
      #expect(try driver.judge(empty(a), Data(), from: "a") == nil)
      driver.assignments["a"] = nil
      #expect(try driver.submit("b", distance: 0.1) == nil)
      #expect(Set(driver.assignments.keys) == ["b"])
      driver = try JobEngineDriver(plan, folder, ["a", "b"])
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 2))
      #expect(Set(driver.assignments.keys) == ["b"])
    }
  }

  /// With fewer images than a batch, the job ends with the encoder of the stage before, also for a restarted server.
  @Test func growthEndsWithFewerImagesThanABatch() throws {
    try withTemporaryFolder { folder in
      let plan = plan(batch: 16)
      var driver = try driver(plan, folder)
      let a = try #require(driver.assignments["a"])
      let kept = driver.engine.snapshot.manifest.prefix(2).map(\.digest)
      #expect(try driver.judge(empty(a), Data(), from: "a") == nil)
      #expect(!driver.engine.hasEnded, "b has not answered yet")
      #expect(try driver.submit("b", distance: 0.1) == nil)
      #expect(driver.engine.hasEnded)
      let grown = driver.notes.compactMap { note -> [Int]? in
        if case .grown(let key, let images, let batch) = note { [key.stage, images, batch] } else { nil }
      }
      #expect(grown == [[2, 10, 16]])
      #expect(driver.engine.snapshot.stage.index == 1)
      #expect(driver.engine.snapshot.manifest.prefix(2).map(\.digest) == kept)
      let again = try JobEngineDriver(plan, folder, ["a", "b"])
      #expect(again.engine.hasEnded && again.engine.snapshot.stage.index == 1)
      #expect(again.assignments.isEmpty)
    }
  }

  /// A stage that has begun goes on: a round without any images leaves the model as it is.
  @Test func aRoundWithoutImagesChangesNothing() throws {
    try withTemporaryFolder { folder in
      var driver = try driver(plan(rounds: 3), folder)
      for name in ["a", "b"] { #expect(try driver.submit(name, distance: 0.1) == nil) }
      let before = driver.engine.snapshot.manifest
      for name in ["a", "b"] {
        let assignment = try #require(driver.assignments[name])
        #expect(try driver.judge(empty(assignment), Data(), from: name) == nil)
      }
      #expect(driver.engine.round.key == RoundKey(stage: 2, round: 3))
      #expect(driver.engine.snapshot.manifest == before)
      #expect(try driver.store.committedRounds().last?.round.samples == 0)
    }
  }

  /// Where no client can run out of images, an empty update is rejected, and so is one with other bytes or numbers.
  @Test func emptyUpdatesAreRejectedElsewhere() throws {
    try withTemporaryFolder { folder in
      var driver = try JobEngineDriver(plan(), folder, ["a", "b"])
      let first = try #require(driver.assignments["a"])
      #expect(try driver.judge(empty(first), Data(), from: "a") == .wrongSize, "stage 1 has all images")
    }
    try withTemporaryFolder { folder in
      var driver = try driver(plan(), folder)
      let assignment = try #require(driver.assignments["a"])
      var offer = empty(assignment)
      offer.bytes = 4
      #expect(try driver.judge(offer, Data(count: 4), from: "a") == .wrongSize)
    }
    var offer = UpdateOffer(emptyFor: RoundKey(stage: 2, round: 1), base: Digest(of: Data()))
    offer.steps = 1
    #expect(offer.badNumber?.rejection == .overLimit)
    offer.steps = 0
    offer.loss = .nan
    #expect(offer.badNumber?.rejection == .notFinite)
  }
}
