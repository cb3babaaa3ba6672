import Client
import Datasets
import Engine
import Federation
import Foundation
import Simulation
import Support
import TestSupport
import Testing

/// Regressions through the real server and real clients: the weights are those of block coordinate descent at one place.
@Suite(.unhurried) struct RegressionRunTests {
  private static let data = "regression:60?inputs=6&targets=3&spread=4&seed=3"

  private static func plan(
    clients: Int, _ statistics: Plan.Regression.Statistics = .moments, _ order: SweepOrder = .ascending,
    depth: Int = 3, laps: Int = 3
  ) -> Plan {
    var network = DeepLinearConfiguration(features: 6, width: 7, depth: depth)
    network.outputs = 3
    var plan = Plan(name: "regression", seed: 11, encoder: EncoderConfiguration(network))
    plan.method = Plan.Method(
      laps: laps, roundsPerStage: .each(1), initialisation: .random, objective: .regression, alignment: 0)
    plan.method.regression = Plan.Regression(order: order, statistics: statistics)
    plan.round = Plan.RoundRules(cohort: clients)
    return plan
  }

  private struct Run {
    let summary: Summary
    /// In order of the blocks.
    let weights: [[Double]]
  }

  private func run(
    _ plan: Plan, clients: Int, _ partition: String, data: String = data, test: String? = nil
  ) async throws -> Run {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    let settings = Experiment.Settings(
      plan: plan, clients: clients, data: try DataSpec(parsing: data),
      testData: try test.map { text throws(DatasetError) in try DataSpec(parsing: text) },
      partition: try Partition(parsing: partition), out: out, cores: 2, threads: 1)
    let summary = try await Experiment(settings) { _ in }.run()
    let file = try Safetensors(
      parsing: Data(contentsOf: out.appendingPathComponent("encoder.safetensors")))
    let weights = try (0..<plan.encoder.depth).map { block in
      let high = try #require(file.tensors["layers.\(block).weight"])
      let low = try #require(file.tensors["layers.\(block).weight.low"])
      return zip(high.values, low.values).map { Double($0) + Double($1) }
    }
    return Run(summary: summary, weights: weights)
  }

  /// Trains at one place, and returns the matrices and the mean loss before each update.
  private func central(_ plan: Plan, data: String = data) throws -> (weights: [[Double]], losses: [Double]) {
    let rows = try DataSpec(parsing: data).dataset(role: .train).rows
    let statistics = RowStatistics(rows, workers: Workers(1))
    let network = DeepLinearNetwork(plan.encoder.linear.shape)
    network.draw(.orthogonal, seed: plan.seed)
    let losses = (0..<plan.method.laps).flatMap { _ in
      network.sweep(plan.regression.order, on: statistics).losses
    }
    return (
      (0..<plan.encoder.depth).map { network.weight($0) }, losses.map { $0 / Double(rows.count) }
    )
  }

  private func difference(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } / b.reduce(0) { max($0, abs($1)) }
  }

  @Test(arguments: [
    (1, "even"), (2, "even"), (5, "even"), (4, "dirichlet:0.2"), (3, "sorted:2"), (5, "shards:2"),
    (3, "quantity:0.5"),
  ])
  func theServersStepIsThatOfAllRows(clients: Int, partition: String) async throws {
    for statistics in Plan.Regression.Statistics.allCases {
      let plan = Self.plan(clients: clients, statistics)
      let run = try await run(plan, clients: clients, partition)
      let central = try central(plan)
      for (own, expected) in zip(run.weights, central.weights) {
        #expect(difference(own, expected) < 1e-12, "\(statistics)")
      }
      let turns = statistics == .exchange ? 2 : 1
      #expect(run.summary.rounds.count == 9 * turns && run.summary.rounds.allSatisfy { $0.samples == 60 })
      for (index, round) in run.summary.rounds.enumerated() {
        #expect(abs(Double(round.loss) / central.losses[index / turns] - 1) < 1e-6, "round \(index)")
      }
    }
  }

  @Test(arguments: [1, 2, 5]) func aDescendingSweepIsFederatedToo(depth: Int) async throws {
    for statistics in Plan.Regression.Statistics.allCases {
      let plan = Self.plan(clients: 3, statistics, .descending, depth: depth, laps: 2)
      let run = try await run(plan, clients: 3, "even")
      for (own, expected) in zip(run.weights, try central(plan).weights) {
        #expect(difference(own, expected) < 1e-12, "\(statistics)")
      }
    }
  }

  /// What travels is what `fedsim sweeps` calculates, apart from messages of a few KB a round.
  @Test func theTrafficIsAsCalculated() async throws {
    for statistics in Plan.Regression.Statistics.allCases {
      var network = DeepLinearConfiguration(features: 40, width: 60, depth: 3)
      network.outputs = 20
      var plan = Self.plan(clients: 2, statistics, laps: 2)
      plan.encoder = EncoderConfiguration(network)
      let run = try await run(plan, clients: 2, "even", data: "regression:30?inputs=40&targets=20")
      let planned = PlannedTraffic(plan)
      for client in run.summary.clients {
        let messages = 10_000 + 3000 * plan.mostRounds
        #expect((planned.bytesUp..<planned.bytesUp + messages).contains(client.bytesUp), "\(client.bytesUp)")
        #expect(
          (planned.bytesDown..<planned.bytesDown + messages).contains(client.bytesDown),
          "\(statistics): \(client.bytesDown), \(planned.bytesDown)")
      }
      // 40 x 60, 60 x 60, 60 x 20 float64 numbers, and second moments of 40, 60 and 60 inputs.
      let gradients = 8 * (2400 + 3600 + 1200)
      let up = statistics == .moments ? gradients + 8 * (820 + 1830 + 1830) : gradients + 8 * 3
      #expect(planned.bytesUp == 2 * up)
    }
  }

  @Test func aRunReportsTheErrors() async throws {
    let plan = Self.plan(clients: 2, depth: 2, laps: 60)
    let run = try await run(plan, clients: 2, "even", test: Self.data)
    let errors = try #require(run.summary.regression)
    let least = try #require(errors.leastSquares)
    #expect(errors.trained.train >= least.train * (1 - 1e-9) && errors.trained.train < 1.5 * least.train)
    #expect(errors.untrained.train > 10 * least.train)
    let determination = try #require(errors.trained.determination)
    #expect(determination > 0.9 && determination < 1 && (errors.untrained.determination ?? 1) < 0.9)
    #expect(run.summary.table.contains("least squares    loss ") && run.summary.evaluation == nil)
  }

  @Test func rowsOfAnotherShapeAreRejected() async throws {
    for (data, text) in [
      ("regression:60?inputs=5&targets=3", "the data are rows of 5 inputs, and the encoder takes rows of 6"),
      ("regression:60?inputs=6&targets=2", "the rows have 2 targets, and the encoder has 3 outputs"),
      ("shapes:60", "the data are images, and the encoder takes rows"),
    ] {
      let error = await #expect(throws: DatasetError.self) {
        _ = try await run(Self.plan(clients: 2), clients: 2, "even", data: data)
      }
      #expect(error?.description == text)
    }
  }

  @Test func aClientWithoutEnoughMemoryNamesTheNeed() async throws {
    var plan = Self.plan(clients: 2)
    plan.local.memory = ByteCount("100KB")
    let error = await #expect(throws: ClientError.self) { _ = try await run(plan, clients: 2, "even") }
    guard case .memory(let reason)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(
      reason.hasPrefix("stage 1 round 1: this stage needs 1 MB of memory, and 0 MB are available"),
      "\(reason)")
  }
}
