import Datasets
import Engine
import Federation
import Foundation
import Simulation
import TestSupport
import Testing

/// Each option of the method is a field of the plan with the documented effect.
@Suite(.unhurried) struct MethodOptionTests {
  /// Returns a plan with four blocks and two rounds per stage.
  private static func plan(_ strategy: Strategy = .layerWise, _ change: (inout Plan) -> Void = { _ in })
    -> Plan
  {
    var plan = Plan.tiny(strategy, rounds: 2)
    plan.encoder.depth = 4
    change(&plan)
    return plan
  }

  private static let changes: [(String, @Sendable (inout Plan) -> Void)] = [
    ("nothing", { _ in }),
    ("layersPerStage", { $0.method.layersPerStage = 2 }),
    ("roundsPerStage", { $0.method.roundsPerStage = .list([1, 3, 2, 2]) }),
    ("laps", { ($0.method.laps, $0.method.roundsPerStage) = (2, .each(1)) }),
    (
      "plateau",
      {
        $0.method.stageEnd = Plan.StageEnd(.plateau, window: 1, improvement: 1, minimum: 3)
        $0.method.roundsPerStage = .each(5)
      }
    ),
    ("initialisation", { $0.method.initialisation = .random }),
    ("objective mocov3", { $0.method.objective = .mocov3 }),
    ("objective byol", { $0.method.objective = .byol }),
    ("objective vicreg", { $0.method.objective = .vicreg }),
    (
      "covariance",
      {
        $0.method.objective = .vicreg
        $0.method.vicreg = VICRegConfiguration(covariance: 10)
      }
    ),
    ("objective barlow", { $0.method.objective = .barlow }),
    (
      "offDiagonal",
      {
        $0.method.objective = .barlow
        $0.method.barlow = BarlowConfiguration(offDiagonal: 0.1)
      }
    ),
    ("local views", { $0.augmentation.crops = LocalCrops(count: 2, size: 8) }),
    ("objective masked", { ($0.method.objective, $0.method.alignment) = (.masked, 0) }),
    (
      "ratio",
      {
        ($0.method.objective, $0.method.alignment) = (.masked, 0)
        $0.method.masked = MaskedConfiguration.Settings(ratio: 0.5)
      }
    ),
    (
      "momentum",
      {
        $0.method.objective = .byol
        $0.method.momentum = 0.5
      }
    ),
    ("activeBlocks", { $0.method.activeBlocks = 2 }),
    ("alignment", { $0.method.alignment = 0 }),
    ("calibration", { $0.method.calibration = Calibration(data: "shapes:16") }),
    ("calibration every stage", { $0.method.calibration = Calibration(data: "shapes:16", every: .stage) }),
    ("calibration every 2", { $0.method.calibration = Calibration(data: "shapes:32", every: .rounds(2)) }),
    ("schedule", { $0.local.schedule = .cosine }),
    ("warmup", { $0.local.warmup = 1 }),
    ("warmup of a round and a half", { $0.local.warmup = 1.5 }),
    ("warmup and schedule", { ($0.local.warmup, $0.local.schedule) = (1, .cosine) }),
    ("optimizer sgd", { $0.local.optimizer = .sgd }),
    ("optimizer lars", { $0.local.optimizer = .lars }),
    ("momentum of the optimizer", { ($0.local.optimizer, $0.local.momentum) = (.sgd, 0.5) }),
    ("trustCoefficient", { ($0.local.optimizer, $0.local.trustCoefficient) = (.lars, 0.01) }),
    ("proximal", { $0.local.proximal = 10 }),
    ("aggregation", { $0.round.aggregation = .median }),
    ("aggregation by trimmed mean", { ($0.round.aggregation, $0.round.trim) = (.trimmedMean, 1) }),
    ("cohort", { $0.round = Plan.RoundRules(cohort: 2) }),
  ]

  private typealias Calibration = Plan.Calibration

  @Test func everyOptionChangesTheEncoder() async throws {
    var names: [String: String] = [:]
    for (name, change) in Self.changes {
      let plan = Self.plan {
        // Several steps per round, so that a moving average moves; five clients, so that a trimmed mean differs from
        // the median.
        $0.local.epochs = 2
        $0.round = Plan.RoundRules(cohort: 5)
        change(&$0)
      }
      let summary = try await TinyRun.summary(plan, clients: 5)
      #expect(summary.rounds.allSatisfy { $0.loss.isFinite }, "\(name)")
      let other = names.updateValue(name, forKey: summary.encoderDigest)
      #expect(other == nil, "\(name) does what \(other ?? "") does")
    }
  }

  @Test func stagesAndRoundsAreThePlans() async throws {
    let plan = Self.plan {
      $0.method.layersPerStage = 2
      $0.method.roundsPerStage = .list([1, 3])
    }
    let summary = try await TinyRun.summary(plan)
    #expect(summary.rounds.map { [$0.stage, $0.round] } == [[1, 1], [2, 1], [2, 2], [2, 3]])
  }

  @Test func calibrationHappensWhenItIsDue() async throws {
    for (every, expected) in [
      (Calibration.Interval.round, [true, true, true]), (.rounds(2), [false, true, false]),
      (.stage, [false, false, true]),
    ] {
      var plan = Plan.tiny(rounds: 3, calibration: Calibration(data: "shapes:16", every: every))
      plan.encoder.depth = 1
      let summary = try await TinyRun.summary(plan)
      #expect(summary.rounds.map { $0.calibrationLoss != nil } == expected, "\(every)")
    }
  }

  /// The stronger the proximal term, the closer the encoder stays to its start.
  @Test func theProximalTermHoldsTheWeightsBack() async throws {
    var distances: [Float] = []
    for proximal in [0, 30 as Float] {
      let plan = Self.plan {
        $0.local = Plan.LocalTraining(epochs: 4, batch: 16, learningRate: 1e-2, proximal: proximal)
      }
      distances.append(
        try await TinyRun.run(plan) { _, out in
          let encoder = out.appendingPathComponent("encoder.safetensors")
          let file = try Safetensors(parsing: Data(contentsOf: encoder))
          let stage = plan.stage(1)
          let start = Storage(stage.model.layout)
          Initialisation.random(stage.model, into: start, seed: plan.seed)
          var square: Float = 0
          for entry in stage.model.layout.entries where entry.part == "blocks.0" {
            let values = try #require(file.tensors[entry.name]).values
            for (a, b) in zip(values, start[entry.slot].array()) { square += (a - b) * (a - b) }
          }
          return square
        })
    }
    #expect(distances[1] < 0.9 * distances[0], "\(distances)")
  }

  /// Two of four blocks run: the other two are neither computed nor sent.
  @Test(arguments: [Strategy.layerWise, .progressive]) func droppedBlocksDoNotTravel(strategy: Strategy)
    async throws
  {
    let plans = [0, 2].map { active in Self.plan(strategy) { $0.method.activeBlocks = active } }
    var up: [Int] = []
    for plan in plans { up.append(try await TinyRun.summary(plan).clients.reduce(0) { $0 + $1.bytesUp }) }
    let block = (plans[0].stage(4).model.part("blocks.3")?.range.count ?? 0) * 4
    // Stages of 1, 2, 3 and 4 blocks, 2 rounds, 2 clients: progressive omits 0, 0, 1 and 2 of them.
    let expected = strategy == .progressive ? 2 * 2 * 3 * block : 0
    #expect(abs(up[0] - up[1] - expected) < block / 10, "\(up), a block has \(block)")
  }

  @Test func droppedBlocksAreDrawnAnewForEachClientAndRound() {
    let plan = Self.plan(.progressive) { $0.method.activeBlocks = 2 }
    var draws: Set<[Int]> = []
    for round in 1...20 {
      for client in ["a", "b"] {
        let kept = plan.keptBlocks(RoundKey(stage: 4, round: round), client: client)
        #expect(kept.count == 2 && kept.last == 3 && kept == kept.sorted())
        #expect(plan.keptBlocks(RoundKey(stage: 4, round: round), client: client) == kept)
        draws.insert(kept)
      }
    }
    #expect(draws == [[0, 3], [1, 3], [2, 3]])
    #expect(plan.keptBlocks(RoundKey(stage: 2, round: 1), client: "a") == [0, 1])
  }

  /// A target branch has a predictor, which is sent with the projector.
  @Test func thePredictorTravels() async throws {
    var up: [Int] = []
    for objective in [ObjectiveKind.simclr, .mocov3] {
      let plan = Self.plan { $0.method.objective = objective }
      up.append(try await TinyRun.summary(plan).clients.reduce(0) { $0 + $1.bytesUp })
    }
    let predictor =
      (Self.plan { $0.method.objective = .mocov3 }.stage(1).model.part("predictor")?.range.count ?? 0) * 4
    #expect(predictor > 0 && abs(up[1] - up[0] - 2 * 8 * predictor) < predictor, "\(up), \(predictor)")
  }

  @Test(arguments: Strategy.allCases) func aResNetTrains(strategy: Strategy) async throws {
    var plan = Plan.tiny(strategy)
    plan.encoder = EncoderConfiguration(
      ResNetConfiguration(images: ImageInput(side: 16), width: 4, depth: 4))
    plan.method.initialisation = .random
    let summary = try await TinyRun.summary(plan)
    #expect(summary.rounds.count == 4 && summary.rounds.allSatisfy { $0.loss.isFinite && $0.loss > 0 })
    #expect(summary.rounds.allSatisfy { $0.monitors?.isFinite == true })
    #expect(try await TinyRun.summary(plan, threads: 2).encoderDigest == summary.encoderDigest)
  }

  /// The round does not wait for a client that declines, and does not count it.
  @Test func clientsDropOut() async throws {
    var plan = Plan.tiny(cohort: 4, rounds: 6)
    (plan.round.quorum, plan.round.attempts) = (1, 20)
    var settings = try TinyRun.settings(
      plan, clients: 4,
      out: FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)"))
    defer { try? FileManager.default.removeItem(at: settings.out) }
    settings.dropout = 0.5
    let summary = try await Experiment(settings) { _ in }.run()
    let counts = summary.rounds.map(\.clients)
    #expect(counts.count == 12 && counts.reduce(0, +) > 12 && counts.reduce(0, +) < 40, "\(counts)")
  }
}
