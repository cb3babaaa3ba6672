import Engine
import Federation
import Testing

@Suite struct CurriculumTests {
  private func plan(_ change: (inout Plan) -> Void = { _ in }) -> Plan {
    var plan = Plan(
      encoder: EncoderConfiguration(image: 8, patch: 4, width: 8, depth: 4, heads: 2),
      heads: HeadConfiguration(hidden: 8, output: 4))
    plan.method.roundsPerStage = .each(2)
    change(&plan)
    return plan
  }

  /// Returns the rounds of a job with these client losses.
  private func keys(_ plan: Plan, loss: (RoundKey) -> Double = { _ in 1 }) -> [RoundKey] {
    var keys: [RoundKey] = []
    var history: [[RoundMetrics]] = [[]]
    var next: RoundKey? = RoundKey(stage: 1, round: 1)
    while let key = next {
      keys.append(key)
      var metrics = RoundMetrics()
      metrics[.loss] = loss(key)
      history[history.count - 1].append(metrics)
      let decision = plan.curriculum.next(after: key, history: history)
      if decision == .beginStage { history.append([]) }
      next = plan.round(after: key, decision)
    }
    return keys
  }

  private func key(_ stage: Int, _ round: Int) -> RoundKey { RoundKey(stage: stage, round: round) }

  @Test func fixedStagesHaveTheirRounds() {
    let plan = plan { ($0.method.layersPerStage, $0.method.roundsPerStage) = (2, .list([2, 3])) }
    #expect(keys(plan) == [key(1, 1), key(1, 2), key(2, 1), key(2, 2), key(2, 3)])
    #expect(plan.mostRounds == 5 && !plan.curriculum.isOpen)
    let whole = self.plan { $0.method.strategy = .endToEnd }
    #expect(keys(whole).last == key(1, 8))
  }

  @Test func theNextRoundIsAFirstAttempt() {
    let third = RoundKey(stage: 1, round: 1, attempt: 3)
    #expect(plan().round(after: third, .continueStage) == key(1, 2))
    #expect(plan().round(after: third, .beginStage) == key(2, 1))
    #expect(plan().round(after: third, .finish) == nil)
  }

  /// A lap trains the layers from the first on; from the second lap on all layers exist.
  @Test func lapsTrainTheLayersAgain() {
    let plan = plan { ($0.method.layersPerStage, $0.method.laps) = (2, 3) }
    #expect(plan.stages == 6 && keys(plan).count == 12)
    let contents = (1...6).map { plan.stage($0).content }
    #expect(contents.map(\.blocks) == [[0, 1]] + Array(repeating: [0, 1, 2, 3], count: 5))
    let first: Set = ["stem", "blocks.0", "blocks.1"]
    let second: Set = ["blocks.2", "blocks.3"]
    #expect(contents.map(\.trained) == [first, second, first, second, first, second])
    #expect(contents.map(\.lap) == [1, 1, 2, 2, 3, 3])
    #expect(plan.stage(3).parts.map(\.name) == ["stem", "blocks.0", "blocks.1", "norm", "projector"])
  }

  /// A further lap adds no layers: a stage starts from the result of the previous one.
  @Test func aFurtherLapGrowsNothing() {
    let plan = plan { $0.method.laps = 2 }
    var snapshot = plan.firstSnapshot()
    for stage in 2...plan.stages {
      let grown = plan.grow(snapshot)
      #expect(grown.stage.index == stage)
      if stage > 4 { #expect(grown.manifest == snapshot.manifest, "stage \(stage)") }
      snapshot = grown
    }
  }

  /// Depth dropout never omits trained blocks.
  @Test func droppedBlocksAreNeverThoseThatTrain() {
    let plan = plan { ($0.method.laps, $0.method.activeBlocks) = (2, 2) }
    for stage in 1...plan.stages {
      for client in ["a", "b", "c"] {
        let kept = plan.keptBlocks(key(stage, 1), client: client)
        let content = plan.stage(stage, keeping: kept).content
        #expect(kept.count == min(stage, 2) && content.trained == plan.stage(stage).content.trained)
      }
    }
  }

  private func plateau(_ change: (inout Plan.Method) -> Void = { _ in }) -> Plan {
    plan {
      $0.method.stageEnd = Plan.StageEnd(.plateau, window: 2, improvement: 0.1)
      $0.method.roundsPerStage = .each(9)
      change(&$0.method)
    }
  }

  @Test func aPlateauEndsAStage() {
    // Falls by a fifth in each round to 1, and then stays.
    func loss(_ key: RoundKey) -> Double { max(1, 2 - 0.2 * Double(key.round)) }
    let plan = plateau()
    let rounds = Dictionary(grouping: keys(plan, loss: loss), by: \.stage).mapValues(\.count)
    // Means of two: 1.7 and 1.3 continue; at round 6 (1.2, 1.0) against (1.0, 1.0) is a sixth; at round 7 nothing.
    #expect(rounds == [1: 7, 2: 7, 3: 7, 4: 7], "\(rounds)")
    #expect(plan.curriculum.isOpen && plan.mostRounds == 36)
  }

  @Test func aStageHasItsLeastAndItsMostRounds() {
    #expect(keys(plateau()).count == 4 * 4, "two windows")
    #expect(keys(plateau { $0.stageEnd.minimum = 6 }).count == 4 * 6)
    #expect(keys(plateau()) { 100 / Double($0.round * $0.round) }.count == 4 * 9)
    #expect(keys(plateau { $0.stageEnd.minimum = 50 }).count == 4 * 9)
    #expect(keys(plateau()) { _ in .nan }.count == 4 * 9)
  }

  @Test(arguments: [
    ("strategy: progressive, laps: 2", "method.laps: is 2; progressive trains all layers at once"),
    (
      "stageEnd: {when: plateau}, calibration: {data: \"shapes:8\", every: stage}",
      "method.calibration.every: is stage"
    ),
    ("stageEnd: {when: controller}", "method.stageEnd.model: is none; when: controller needs a file"),
    (
      "stageEnd: {when: plateau, model: controller.json}",
      "method.stageEnd.model: is only for when: controller; this plan has plateau"
    ),
    ("stageEnd: {when: never}", "method.stageEnd.when: is 'never'"),
    ("curriculum: plateau", "method.curriculum: is not a field of a plan"),
  ])
  func whatCannotBeIsRejected(method: String, problem: String) {
    let yaml = "encoder: {image: 8, patch: 4, width: 8, depth: 4, heads: 2}\nmethod: {\(method)}\n"
    let error = #expect(throws: PlanError.self) { try Plan(yaml: yaml, file: "plan.yaml") }
    #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
  }
}
