import Client
import Datasets
import Engine
import Federation
import Foundation
import Server
import Simulation
import Synchronization

extension Plan {
  /// Returns a plan whose model trains in milliseconds, on images of 16 x 16.
  static func tiny(
    _ strategy: Strategy = .layerWise, seed: UInt64 = 7, cohort: Int = 2, rounds: Int = 1,
    calibration: Calibration? = nil
  ) -> Plan {
    var plan = Plan(
      name: "tiny", seed: seed,
      encoder: EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 2, heads: 3),
      heads: HeadConfiguration(hidden: 32, output: 16))
    plan.method.strategy = strategy
    plan.method.roundsPerStage = .each(rounds)
    plan.method.calibration = calibration
    plan.local = LocalTraining(epochs: 1, batch: 16, learningRate: 1e-2)
    plan.round = RoundRules(cohort: cohort)
    return plan
  }

  /// Returns the bytes that a client uploads in one round of a stage.
  func updateBytes(stage index: Int) -> Int { stage(index).count * 4 }
}

/// A run in a temporary folder.
enum TinyRun {
  static let imagesOfAClient = 16

  static func settings(
    _ plan: Plan, clients: Int = 2, threads: Int = 1, cores: Int = 2, out: URL, probe: Bool = false,
    fineTuningEpochs: Int = 0
  ) throws -> Experiment.Settings {
    Experiment.Settings(
      plan: plan, clients: clients, data: try DataSpec(parsing: "shapes:\(clients * imagesOfAClient)"),
      testData: probe ? try DataSpec(parsing: "shapes:30") : nil, fineTuningEpochs: fineTuningEpochs,
      partition: .even, out: out, cores: cores, threads: threads)
  }

  static func run<Result>(
    _ plan: Plan, clients: Int = 2, threads: Int = 1, cores: Int = 2, probe: Bool = false,
    fineTuningEpochs: Int = 0,
    observer: @escaping @Sendable (Experiment.Event) -> Void = { _ in },
    _ body: (Summary, URL) throws -> Result
  ) async throws -> Result {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    let settings = try settings(
      plan, clients: clients, threads: threads, cores: cores, out: out, probe: probe,
      fineTuningEpochs: fineTuningEpochs)
    return try body(try await Experiment(settings, observer: observer).run(), out)
  }

  static func summary(_ plan: Plan, clients: Int = 2, threads: Int = 1, cores: Int = 2) async throws
    -> Summary
  {
    try await run(plan, clients: clients, threads: threads, cores: cores) { summary, _ in summary }
  }
}
