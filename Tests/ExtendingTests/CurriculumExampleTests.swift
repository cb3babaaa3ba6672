import Engine
import Federation
import Testing

@Suite struct CurriculumExampleTests {
  private let plan = Plan(
    encoder: EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 3, heads: 2),
    heads: HeadConfiguration(hidden: 8, output: 4))

  /// Returns the numbers of rounds of a job's stages with these losses, nil for a round without one.
  private func rounds(patience: Int, most: Int = 9, loss: (RoundKey) -> Double?) -> [Int] {
    let curriculum: any Curriculum = PatienceCurriculum(
      fixed: FixedCurriculum(stages: plan.stages) { _ in most }, patience: patience)
    #expect(curriculum.stages == 3 && curriculum.isOpen && curriculum.mostRounds(stage: 2) == most)
    var (rounds, history): ([Int], [[RoundMetrics]]) = ([], [[]])
    var next: RoundKey? = RoundKey(stage: 1, round: 1)
    while let key = next {
      var metrics = RoundMetrics()
      metrics[.loss] = loss(key)
      history[history.count - 1].append(metrics)
      let decision = curriculum.next(after: key, history: history)
      if decision != .continueStage {
        rounds.append(key.round)
        history.append([])
      }
      next = plan.round(after: key, decision)
    }
    return rounds
  }

  /// The loss of stage s falls until round s, and then stays.
  @Test func aStageEndsWithoutANewLowestLoss() {
    func loss(_ key: RoundKey) -> Double { 5 - Double(min(key.round, key.stage)) }
    #expect(rounds(patience: 1, loss: loss) == [2, 3, 4])
    #expect(rounds(patience: 2, loss: loss) == [3, 4, 5])
    #expect(rounds(patience: 2, most: 4, loss: loss) == [3, 4, 4])
  }

  /// A loss that rises and then falls below the lowest one continues the stage.
  @Test func onlyANewLowestLossCounts() {
    let losses = [3, 2, 2.5, 1, 1.5, 1.2, 1.1, 0, 0]
    #expect(rounds(patience: 3) { losses[$0.round - 1] } == [7, 7, 7])
    #expect(rounds(patience: 2) { losses[$0.round - 1] } == [6, 6, 6])
    #expect(rounds(patience: 4) { losses[$0.round - 1] } == [9, 9, 9])
  }

  @Test func roundsWithoutALossDoNotCount() {
    #expect(rounds(patience: 1) { _ in nil } == [9, 9, 9])
    #expect(rounds(patience: 1) { _ in .nan } == [9, 9, 9])
    #expect(rounds(patience: 2) { $0.round % 2 == 0 ? nil : 1 } == [5, 5, 5])
  }

  @Test func plansTakeIt() throws {
    var plan = plan
    plan.method.stageEnd = Plan.StageEnd(.patience, window: 2)
    let curriculum = try #require(plan.curriculum as? PatienceCurriculum)
    #expect(curriculum.patience == 2 && curriculum.mostRounds(stage: 1) == 15)
  }

  @Test func aRoundHasItsPlaceInTheSchedule() {
    let curriculum = PatienceCurriculum(fixed: FixedCurriculum(stages: 1) { _ in 4 }, patience: 2)
    #expect(curriculum.place(of: RoundKey(stage: 1, round: 2)) == SchedulePlace(from: 0.25, to: 0.5))
  }
}
