import Datasets
import Engine
import Federation
import Foundation
import Simulation
import TestSupport
import Testing

@Suite(.unhurried) struct ExperimentTests {
  @Test func theSameSeedGivesTheSameEncoder() async throws {
    let plan = Plan.tiny(rounds: 2)
    let first = try await TinyRun.summary(plan)
    #expect(first.encoderDigest.count == 64)
    #expect(try await TinyRun.summary(plan).encoderDigest == first.encoderDigest)
    #expect(try await TinyRun.summary(.tiny(seed: 8, rounds: 2)).encoderDigest != first.encoderDigest)
  }

  /// Neither the threads of a training nor the number of concurrent trainings change a bit.
  @Test func threadsDoNotChangeTheEncoder() async throws {
    let plan = Plan.tiny(calibration: Plan.Calibration(data: "shapes:32"))
    let one = try await TinyRun.summary(plan, threads: 1, cores: 1)
    let two = try await TinyRun.summary(plan, threads: 2, cores: 2)
    let both = try await TinyRun.summary(plan, threads: 1, cores: 2)
    #expect(one.encoderDigest == two.encoderDigest)
    #expect(one.encoderDigest == both.encoderDigest)
  }

  @Test(arguments: Strategy.allCases) func everyStrategyFinishes(strategy: Strategy) async throws {
    let plan = Plan.tiny(strategy)
    let summary = try await TinyRun.summary(plan)
    let keys = summary.rounds.map { [$0.stage, $0.round] }
    #expect(keys == (strategy.hasSingleStage ? [[1, 1], [1, 2]] : [[1, 1], [2, 1]]))
    #expect(summary.stages == (strategy.hasSingleStage ? 1 : 2))
    #expect(summary.rounds.allSatisfy { $0.loss.isFinite && $0.loss > 0 && $0.calibrationLoss == nil })
    #expect(summary.rounds.allSatisfy { $0.clients == 2 && $0.samples == 32 && $0.seconds > 0 })
    #expect(summary.encoderDigest != plan.firstDigest, "it trained")
  }

  /// Fixed views with a cached prefix are repeatable and differ from fresh views. They are valid until the prefix
  /// changes, which a calibration does in every round.
  @Test func fixedViewsCanBeRepeated() async throws {
    var plan = Plan.tiny(rounds: 2)
    let fresh = try await TinyRun.summary(plan)
    plan.local.views = 4
    let fixed = try await TinyRun.summary(plan, threads: 1, cores: 1)
    #expect(fixed.encoderDigest != fresh.encoderDigest)
    #expect(try await TinyRun.summary(plan, threads: 2, cores: 2).encoderDigest == fixed.encoderDigest)
    plan.method.calibration = Plan.Calibration(data: "shapes:16")
    let calibrated = try await TinyRun.summary(plan)
    #expect(calibrated.rounds.count == 4 && calibrated.rounds.allSatisfy { $0.loss.isFinite })
  }

  @Test func strategiesDiffer() async throws {
    var digests: Set<String> = []
    for strategy in Strategy.allCases {
      digests.insert(try await TinyRun.summary(.tiny(strategy)).encoderDigest)
    }
    digests.insert(
      try await TinyRun.summary(.tiny(calibration: Plan.Calibration(data: "shapes:16"))).encoderDigest)
    #expect(digests.count == 5)
  }

  @Test func aCalibratedRunFinishes() async throws {
    let plan = Plan.tiny(rounds: 2, calibration: Plan.Calibration(data: "shapes:16", every: .stage))
    let summary = try await TinyRun.summary(plan)
    #expect(summary.rounds.map { $0.calibrationLoss != nil } == [false, true, false, true])
    #expect(summary.rounds.allSatisfy { $0.calibrationLoss?.isFinite ?? true })
  }

  @Test func aCohortIsDrawnAmongMoreClients() async throws {
    let plan = Plan.tiny(cohort: 2, rounds: 3)
    let summary = try await TinyRun.summary(plan, clients: 5)
    #expect(summary.rounds.count == 6 && summary.rounds.allSatisfy { $0.clients == 2 })
    #expect(summary.clients.count == 5)
    #expect(try await TinyRun.summary(plan, clients: 5).encoderDigest == summary.encoderDigest)
    let uploads = summary.clients.map { $0.bytesUp / plan.updateBytes(stage: 2) }
    #expect(uploads.reduce(0, +) >= 12, "two of six rounds: \(uploads)")
    #expect(Set(uploads).count > 1, "not the same two every time: \(uploads)")
  }

  @Test func aCohortLargerThanTheClientsIsRejected() throws {
    let settings = try TinyRun.settings(.tiny(cohort: 3), clients: 2, out: URL(fileURLWithPath: "/nowhere"))
    let error = #expect(throws: ExperimentError.self) { try Experiment(settings) { _ in } }
    #expect(error?.description == "the plan's cohort is 3, but there are 2 clients")
  }

  @Test func whatTheImagesDoNotAllowIsRejected() async throws {
    try await withRejectedRun(clients: 2) { $0.data = try DataSpec(parsing: "shapes:3") }
    try await withRejectedRun(clients: 2) { $0.data = try DataSpec(parsing: "shapes:32?skip=32") }
    try await withRejectedRun(clients: 2) { $0.testData = try DataSpec(parsing: "cifar10:/nowhere") }
  }

  private func withRejectedRun(clients: Int, _ change: (inout Experiment.Settings) throws -> Void)
    async throws
  {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    var settings = try TinyRun.settings(.tiny(), clients: clients, out: out)
    try change(&settings)
    let experiment = try Experiment(settings) { _ in }
    await #expect(throws: DatasetError.self) { try await experiment.run() }
    #expect(!FileManager.default.fileExists(atPath: out.path), "nothing was begun")
  }
}

extension Plan {
  /// The digest of this plan's encoder without training.
  fileprivate var firstDigest: String {
    let stage = stage(stages)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return Snapshot(stage, parameters).encoderDigest.description
  }
}
