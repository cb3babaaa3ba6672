import Engine
import Federation
import Simulation
import Support
import Testing

@Suite struct ComparisonVariantTests {
  @Test func aVariantChangesStrategyLossAndSeedAlone() {
    let base = Plan.tiny(rounds: 3)
    let plan = ComparisonVariant(.progressive, .byol).plan(of: base, seed: 11, clients: 2)
    var wanted = base
    (wanted.seed, wanted.method.strategy, wanted.method.objective) = (11, .progressive, .byol)
    #expect(plan == wanted)
    for training in ComparisonVariant.Training.allCases {
      let plan = ComparisonVariant(training, .simclr).plan(of: base, seed: 7, clients: 2)
      #expect(plan.mostRounds == base.mostRounds, "\(training)")
    }
  }

  /// Rules of the plan that a single client, or a single stage, would violate.
  @Test func everyVariantOfAPlanIsAPlan() throws {
    var base = Plan.tiny(cohort: 4)
    base.method.activeBlocks = 1
    base.round.aggregation = .trimmedMean
    base.local.memory = ByteCount(bytes: 1_000_000)
    base.round.deadline = .hours(100)
    for training in ComparisonVariant.Training.allCases {
      let variant = ComparisonVariant(training, .mocov3)
      let plan = variant.plan(of: base, seed: 7, clients: 4)
      #expect(try Plan(yaml: plan.yaml(), file: variant.name) == plan)
    }
    let central = ComparisonVariant(.centralised, .simclr).plan(of: base, seed: 7, clients: 4)
    #expect(central.round.cohort == 1 && central.round.quorum == 1 && central.round.minimumClients == 1)
    #expect(central.round.aggregation == .mean && central.local.memory == nil)
    #expect(central.round.deadline == PlanLimits.deadline)
    base.round.deadline = .minutes(10)
    #expect(
      ComparisonVariant(.centralised, .simclr).plan(of: base, seed: 7, clients: 4).round.deadline
        == .minutes(40))
  }
}
