import Engine
import Federation
import Foundation
import Testing

@Suite struct RegulariserSettingsTests {
  /// The first half of the stages has τ, the
  /// rest 2 τ; a lap repeats the schedule.
  @Test(
    arguments: [
      (Strategy.layerWise, 1, 1, [2]), (.layerWise, 4, 1, [1, 1, 2, 2]), (.layerWise, 5, 1, [1, 1, 2, 2, 2]),
      (.layerWise, 2, 2, [1, 2, 1, 2]), (.progressive, 3, 1, [1, 2, 2]), (.endToEnd, 4, 1, [2]),
    ] as [(Strategy, Int, Int, [Float])])
  func theKineticTermIsWeakerInLaterStages(strategy: Strategy, depth: Int, laps: Int, factors: [Float]) throws
  {
    var plan = Plan(encoder: EncoderConfiguration(image: 8, patch: 4, width: 8, depth: depth, heads: 2))
    (plan.method.strategy, plan.method.laps) = (strategy, laps)
    plan.method.regularisers[KineticSettings.self] = KineticSettings(tau: 0.3)
    #expect(plan.stages == factors.count)
    for (index, factor) in factors.enumerated() {
      let options = plan.trainingOptions(.whole, stage: index + 1, images: 10)
      let penalty = try #require(options.branchPenalties.first as? Kinetic)
      #expect(options.branchPenalties.count == 1 && penalty.tau == factor * 0.3)
    }
  }

  @Test func withoutASectionThereIsNoTerm() {
    let plan = Plan(encoder: EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 2, heads: 2))
    #expect(plan.trainingOptions(.whole, stage: 1, images: 10).branchPenalties.isEmpty)
    #expect(!plan.yaml().contains("kinetic"))
  }

  /// A training without a term that the plan has would be another one.
  @Test func anUnknownRegulariserIsRejected() throws {
    let known = try JSONDecoder().decode(
      RegulariserSections.self, from: Data(#"{"kinetic": {"tau": 2}}"#.utf8))
    #expect(known[KineticSettings.self] == KineticSettings(tau: 2))
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(RegulariserSections.self, from: Data(#"{"magic": {"tau": 2}}"#.utf8))
    }
  }
}
