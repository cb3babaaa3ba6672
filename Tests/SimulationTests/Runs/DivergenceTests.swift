import Client
import Datasets
import Federation
import Foundation
import Server
import Simulation
import Synchronization
import TestSupport
import Testing

@Suite(.unhurried) struct DivergenceTests {
  /// Real clients with diverged trainings keep running; the server gives up the job, and only for that reason.
  @Test func aRunThatDivergesSaysWhere() async throws {
    var plan = Plan.tiny()
    plan.method.temperature = Float(1e-38) / 100
    plan.round.attempts = 2
    let diverged = Mutex<[String: Int]>([:])
    let error = await #expect(throws: ServerError.self) {
      try await TinyRun.run(plan) { event in
        if case .client(let name, .diverged) = event { diverged.withLock { $0[name, default: 0] += 1 } }
      } _: { _, _ in
      }
    }
    let key: RoundKey? = if case .diverged(let key, _)? = error { key } else { nil }
    #expect(key == RoundKey(stage: 1, round: 1, attempt: 2), "\(error as Any)")
    #expect(diverged.withLock { $0.values.reduce(0, +) } >= 2)
  }

  /// The largest steps of a plan, with a decay that overshoots: the weights are finite at first and then too large.
  @Test func weightsThatGrowWithoutEndAreADivergenceToo() async throws {
    var plan = Plan.tiny()
    plan.local = Plan.LocalTraining(epochs: 8, batch: 256, learningRate: 10, weightDecay: 1)
    plan.round.attempts = 1
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    var settings = try TinyRun.settings(plan, out: out)
    settings.data = try DataSpec(parsing: "shapes:512")
    let reasons = Mutex<[Rejection]>([])
    let error = await #expect(throws: ServerError.self) {
      _ = try await Experiment(settings) { event in
        if case .server(.rejected(_, _, let rejection)) = event { reasons.withLock { $0.append(rejection) } }
      }.run()
    }
    #expect(error?.description.contains(" diverged: ") == true, "\(error as Any)")
    #expect(reasons.withLock { $0.contains(where: \.isDivergence) })
  }
}
