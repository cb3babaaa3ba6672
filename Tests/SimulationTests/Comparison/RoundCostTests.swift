import Engine
import Federation
import Simulation
import TestSupport
import Testing

@Suite(.unhurried) struct RoundCostTests {
  /// The calculated bytes equal those at the socket apart from the framing.
  @Test(arguments: Strategy.allCases) func trafficIsWhatTravels(strategy: Strategy) async throws {
    let plan = Plan.tiny(strategy, rounds: 2)
    let summary = try await TinyRun.summary(plan)
    let costs = RoundCost.all(of: plan, samples: [16, 16])
    #expect(costs.map { [$0.stage, $0.round] } == summary.rounds.map { [$0.stage, $0.round] })
    let (up, down) = costs.reduce((0, 0)) { ($0.0 + $1.bytesUp, $0.1 + $1.bytesDown) }
    for client in summary.clients {
      #expect((up..<up + up / 10).contains(client.bytesUp), "\(client.bytesUp), not \(up)")
      #expect((down..<down + down / 10).contains(client.bytesDown), "\(client.bytesDown), not \(down)")
    }
  }

  @Test func trafficByRound() {
    let plan = Plan.tiny(.layerWise, rounds: 2)
    let (first, second) = (plan.updateBytes(stage: 1), plan.updateBytes(stage: 2))
    let costs = RoundCost.all(of: plan, samples: [16])
    #expect(costs.map(\.bytesUp) == [first, first, second, second])
    // The second stage's layer is a copy of the first stage's last result, and is downloaded once.
    #expect(costs.map(\.bytesDown) == [first, first, first, second])
  }

  @Test func operationsAreThoseOfTheStepsThatAreDone() {
    var plan = Plan.tiny(.layerWise, rounds: 1)
    plan.local.epochs = 3
    let stage = plan.stage(2)
    // 40 images make two batches of 16, three times; the alignment is another branch.
    let step = OperationCount.step(stage, batch: 16, branches: 1)
    #expect(RoundCost.all(of: plan, samples: [40])[1].operations == Double(6 * step))
    plan.method.alignment = 0
    let less = OperationCount.step(stage, batch: 16, branches: 0)
    #expect(RoundCost.all(of: plan, samples: [40])[1].operations == Double(6 * less))
    // Fewer images than a batch make one batch; a single image makes none.
    let small = OperationCount.step(stage, batch: 10, branches: 0)
    let both = RoundCost.all(of: plan, samples: [10, 40])[1].operations
    #expect(both == Double(3 * small + 6 * less) / 2)
    #expect(RoundCost.all(of: plan, samples: [1])[1].operations == 0)
    #expect(RoundCost.all(of: plan, samples: [])[1].operations == 0)
  }

  /// With fixed views the prefix runs when its outputs are cached, and not in a step.
  @Test func fixedViewsGoThroughThePrefixOnce() {
    var plan = Plan.tiny(.layerWise, rounds: 2)
    plan.local.views = 2
    let stage = plan.stage(2)
    let encoder = stage.model.encoder.operations
    let step = OperationCount.step(stage, batch: 16, branches: 1, features: true)
    let costs = RoundCost.all(of: plan, samples: [16])
    #expect(costs[2].operations == Double(step + 32 * (encoder.stem + encoder.blocks[0])))
    #expect(costs[3].operations == Double(step))
    // A calibration changes the prefix.
    plan.method.calibration = Plan.Calibration(data: "shapes:16")
    #expect(RoundCost.all(of: plan, samples: [16])[3].operations == costs[2].operations)
  }
}
