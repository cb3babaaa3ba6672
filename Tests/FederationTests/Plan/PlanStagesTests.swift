import Engine
import Federation
import Testing

@Suite struct PlanStagesTests {
  private func plan(
    _ strategy: Strategy, depth: Int = 12, layers: Int = 1, _ rounds: Plan.Method.Rounds
  ) -> Plan {
    Plan(
      encoder: EncoderConfiguration(image: 32, patch: 4, width: 192, depth: depth, heads: 3),
      method: Plan.Method(strategy: strategy, layersPerStage: layers, roundsPerStage: rounds))
  }

  @Test func countsThePapersRounds() {
    for strategy in Strategy.allCases { #expect(plan(strategy, .each(15)).mostRounds == 180) }
    #expect(plan(.layerWise, .each(15)).stages == 12)
    #expect(plan(.layerWise, .each(15)).mostRounds(stage: 12) == 15)
    #expect(plan(.progressive, layers: 4, .each(15)).stages == 3)
    #expect(plan(.endToEnd, .each(15)).stages == 1)
    #expect(plan(.endToEnd, .each(15)).mostRounds(stage: 1) == 180)
  }

  @Test func takesAListStageByStage() {
    let rounds = Plan.Method.Rounds.list([5, 1, 2])
    let layerWise = plan(.layerWise, depth: 6, layers: 2, rounds)
    #expect((1...3).map { layerWise.mostRounds(stage: $0) } == [5, 1, 2])
    #expect(layerWise.mostRounds == 8)
    #expect(plan(.endToEnd, depth: 6, layers: 2, rounds).mostRounds(stage: 1) == 8)
  }

  @Test func calibratesWhenItIsDue() {
    func due(_ every: Plan.Calibration.Interval) -> [Int] {
      let calibration = Plan.Calibration(data: "shapes:8", every: every)
      return (1...5).filter { calibration.isDue(round: $0, of: 5) }
    }
    #expect(due(.round) == [1, 2, 3, 4, 5])
    #expect(due(.rounds(2)) == [2, 4])
    #expect(due(.stage) == [5])
  }

  @Test func derivesQuorumAndMinimum() {
    #expect((1...8).map { Plan.RoundRules(cohort: $0).quorum } == [1, 2, 3, 3, 4, 5, 6, 6])
    #expect(Plan.RoundRules(cohort: 7).minimumClients == 7)
  }

  @Test func scalesTheLearningRateByTheBatch() {
    #expect(Plan.LocalTraining(batch: 128, learningRate: 2e-3).scaledRate == 1e-3)
  }
}
