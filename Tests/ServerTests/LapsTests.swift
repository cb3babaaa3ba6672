import Engine
import Federation
import Foundation
import GRDB
import Server
import TestSupport
import Testing

/// Later laps of a job with labels on a server: what clients get, and what a restart finds.
@Suite(.unhurried) struct LapsTests {
  private func plan(_ isResNet: Bool = false) -> Plan {
    var plan = Plan.tiny(cohort: 1, rounds: .each(2))
    if isResNet {
      plan.encoder = EncoderConfiguration(
        ResNetConfiguration(images: ImageInput(side: 8, channels: 1), width: 3, depth: 2))
      plan.method.initialisation = .random
    }
    (plan.method.objective, plan.method.alignment, plan.method.laps) = (.classification, 0, 2)
    plan.method.classification = Plan.Classification(
      classes: .count(3), grid: isResNet ? 2 : 1)
    return plan
  }

  /// A client gets the layers of the first lap's stage only; it keeps those that wait, but is not asked to fetch them.
  @Test(arguments: [false, true]) func aClientGetsOnlyItsStage(isResNet: Bool) async throws {
    try await withTemporaryFolder { folder in
      let plan = plan(isResNet)
      var driver = try JobEngineDriver(plan, folder, ["a"])
      for _ in 1...4 { #expect(try driver.submit("a", distance: 0.1) == nil) }
      let head = isResNet ? ["classifier"] : ["norm", "classifier"]
      let assignment = try #require(driver.assignments["a"])
      #expect(assignment.key == RoundKey(stage: 3, round: 1))
      #expect(assignment.parts.map(\.name) == ["stem", "blocks.0"] + head)
      #expect(assignment.trained == assignment.parts.map(\.name))
      let waiting = driver.engine.snapshot.waiting
      #expect(waiting.map(\.name) == ["blocks.1", "exits.2"] && assignment.others == waiting.map(\.digest))
      for _ in 5...6 { #expect(try driver.submit("a", distance: 0.1) == nil) }
      let second = try #require(driver.assignments["a"])
      #expect(second.key == RoundKey(stage: 4, round: 1) && second.others.isEmpty)
      #expect(second.parts.first { $0.name == "blocks.1" } == waiting[0], "it begins as it was left")
      #expect(second.trained == ["blocks.1"] + head)
    }
  }

  /// A server that is started again in every round ends with the same model.
  @Test(arguments: [false, true]) func aRestartInALapChangesNothing(isResNet: Bool) async throws {
    var digests: [Digest] = []
    for restarts in [false, true] {
      try await withTemporaryFolder { folder in
        var driver = try JobEngineDriver(plan(isResNet), folder, ["a"])
        for _ in 1...8 {
          if restarts {
            let before = driver.engine.snapshot.versions
            driver = try JobEngineDriver(plan(isResNet), folder, ["a"])
            #expect(driver.engine.snapshot.versions == before, "\(driver.engine.round.key)")
          }
          #expect(try driver.submit("a", distance: 0.1) == nil)
        }
        #expect(driver.engine.hasEnded && driver.engine.snapshot.waiting.isEmpty)
        digests.append(driver.engine.snapshot.base)
      }
    }
    #expect(digests[0] == digests[1])
  }

  /// A committed round has all layers, and a database without one of those that wait is rejected in one line.
  @Test func aCommittedRoundIsComplete() async throws {
    try await withTemporaryFolder { folder in
      var driver = try JobEngineDriver(plan(), folder, ["a"])
      for _ in 1...5 { #expect(try driver.submit("a", distance: 0.1) == nil) }
      let path = folder.appendingPathComponent("strata.sqlite").path
      let model = try CommittedModel(in: path)
      #expect(model.key == RoundKey(stage: 3, round: 1))
      #expect(model.snapshot.versions == driver.engine.snapshot.complete.versions)
      #expect(EarlyExits.depths(of: model.snapshot.stage.model) == [1, 2])
      #expect(model.checkpoint.configuration.depth == 2)
      try await DatabaseQueue(path: path).write {
        try $0.execute(sql: "DELETE FROM layers WHERE name = 'exits.2'")
      }
      let error = #expect(throws: StoreError.self) { try CommittedModel(in: path) }
      #expect(error?.description.hasSuffix("the layers of stage 3 round 1 do not match the plan") == true)
      #expect(throws: ServerError.self) { try JobEngineDriver(plan(), folder, ["a"]) }
    }
  }

  /// Coded layers: in a later lap the classifier goes on from an exit, so that no chain of deltas of the stage before
  /// leads to it.
  @Test func aChainOfDeltasBeginsAnew() async throws {
    try await withTemporaryFolder { folder in
      var plan = plan()
      plan.traffic.layers = .int8
      plan.method.classification?.hidden = 32
      var driver = try JobEngineDriver(plan, folder, ["a"], codecs: UpdateCodec.allCases)
      var counts: [RoundKey: Int] = [:]
      for _ in 1...8 {
        let assignment = try #require(driver.assignments["a"])
        let version = try #require(assignment.parts.first { $0.name == "classifier" })
        counts[assignment.key] = assignment.deltaChain(to: version)?.steps.count ?? 0
        #expect(try driver.submit("a", distance: 0.1) == nil)
      }
      let ofStages = (1...4).map { stage in
        (1...2).map { counts[RoundKey(stage: stage, round: $0)] ?? -1 }
      }
      #expect(ofStages[2...] == [[0, 1], [0, 1]] && ofStages[1].allSatisfy { $0 > 1 }, "\(ofStages)")
    }
  }
}
