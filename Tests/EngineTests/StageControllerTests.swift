import Engine
import Foundation
import Testing

@Suite struct StageControllerTests {
  /// Returns a run with losses that fall irregularly, in stages that may end at any decision.
  private func run(
    _ stages: Int, _ count: Int, _ random: inout RandomNumbers
  ) -> [ControllerDecision] {
    var (stage, loss) = (0, 4.0)
    return (0..<count).map { _ in
      loss += Double(random.uniform(-0.4, 0.2))
      let decision = ControllerDecision(loss: loss, stage: stage, ends: random.chance(0.4))
      if decision.ends { stage = min(stage + 1, stages - 1) }
      return decision
    }
  }

  /// S above 6 has a single embedded number, and more decisions than T share the last decoder.
  @Test(arguments: [(1, 3, 3), (2, 6, 5), (4, 5, 9), (8, 4, 4)])
  func gradients(stages: Int, decisions: Int, taken: Int) {
    let seed = UInt64.random(in: 0..<1 << 40)
    var random = RandomNumbers(seed)
    let shape = StageController.Shape(stages: stages, decisions: decisions)
    let controller = StageController(shape, seed: seed)
    let run = run(stages, taken, &random)
    let parameters = Storage(shape.layout)
    parameters.all.set(controller.parameters)
    let gradient = controller.review(run, advantage: -0.7).gradient
    let tensors = shape.layout.entries.map {
      Differentiable($0.name, parameters[$0.slot], gradient: Array(gradient[$0.slot.range]))
    }
    FiniteDifferences(seed: seed).expect(tensors) {
      StageController(shape, parameters: parameters.all.array()).review(run, advantage: -0.7).loss
    }
    let used = min(decisions, taken)
    for decision in 0..<decisions {
      let entry = shape.layout.entries.first { $0.name == "decoder.\(decision).bias" }!
      let isUsed = gradient[entry.slot.range].contains { $0 != 0 }
      #expect(isUsed == (decision < used), "decoder \(decision), seed \(seed)")
    }
  }

  @Test func sizesFollowTheStages() {
    func sizes(_ stages: Int) -> [[Int]] {
      StageController.Shape(stages: stages, decisions: 3).layout.entries.prefix(5).map(\.shape)
    }
    #expect(sizes(2) == [[32, 8], [32, 8], [32], [32], [6, 5]])
    #expect(sizes(6) == [[32, 8], [32, 8], [32], [32], [6, 1]])
    #expect(sizes(9) == [[32, 11], [32, 8], [32], [32], [6, 1]])
  }

  /// Only differences to the first loss count, and what was done before does.
  @Test func decisionsDependOnTheHistory() {
    let controller = StageController(StageController.Shape(stages: 2, decisions: 4), seed: 3)
    func stop(_ losses: [Double], ended: Bool = false) -> Double {
      var (state, stop) = (StageController.State(), 0.0)
      for loss in losses {
        stop = controller.decide(loss: loss, stage: 0, &state)
        state.hasEnded = ended
      }
      #expect(state.decisions == losses.count)
      return stop
    }
    #expect(stop([3]) == stop([7]))
    #expect(abs(stop([3, 2.5]) - stop([7, 6.5])) < 1e-12)
    #expect(stop([3, 2.5]) != stop([3, 2]))
    #expect(stop([3, 2.5]) != stop([3, 2.5], ended: true))
    #expect(stop([3, 3, 2]) != stop([3, 2]))
  }

  /// A cost above the baseline makes the actions of a run less likely, one below it more likely.
  @Test func costsMoveTheProbabilities() {
    var random = RandomNumbers(11)
    let controller = StageController(StageController.Shape(stages: 3, decisions: 8), seed: 11)
    let run = run(3, 8, &random)
    func likelihood(after cost: Double) -> Double {
      let learner = ControllerLearner(controller, baseline: CostBaseline(0.3))
      #expect(learner.learn(run, cost: cost) == controller.review(run, advantage: 1).stop)
      return learner.controller.review(run, advantage: 1).loss
    }
    let before = controller.review(run, advantage: 1).loss
    #expect(likelihood(after: 0.8) < before && likelihood(after: -0.8) > before)
    #expect(likelihood(after: 0.3) == before, "a cost at the baseline has no advantage")
    let learner = ControllerLearner(controller)
    _ = learner.learn(run, cost: 4)
    #expect(learner.controller.review(run, advantage: 1).loss == before, "the first cost is the baseline")
    _ = learner.learn(run, cost: 5)
    #expect(learner.controller.review(run, advantage: 1).loss < before)
  }

  /// The baseline moves first: 0.9 · 0.3 + 0.1 · 1.3 = 0.4.
  @Test func theBaselineIsAMovingAverage() {
    var baseline = CostBaseline()
    #expect(abs(baseline.advantage(of: 1.3) - 0.9) < 1e-12 && abs(baseline.value - 0.4) < 1e-12)
  }

  /// With costs that count decisions, a controller learns to end at once.
  @Test func aControllerLearnsToEnd() {
    let shape = StageController.Shape(stages: 1, decisions: 6)
    let learner = ControllerLearner(StageController(shape, seed: 5))
    var random = RandomNumbers(5)
    func stop() -> Double {
      var state = StageController.State()
      return learner.controller.decide(loss: 1, stage: 0, &state)
    }
    let before = stop()
    for _ in 0..<150 {
      var (state, run) = (StageController.State(), [ControllerDecision]())
      while run.last?.ends != true {
        let stop = learner.controller.decide(loss: 1, stage: 0, &state)
        let ends = Double(random.uniform()) < stop || run.count == 5
        state.hasEnded = ends
        run.append(ControllerDecision(loss: 1, stage: 0, ends: ends))
      }
      _ = learner.learn(run, cost: Double(run.count) / 6)
    }
    #expect(before < 0.8 && stop() > 0.95, "from \(before) to \(stop())")
  }

  @Test func everyFifthEpisodeHasEvenStages() {
    func even(_ stages: Int, _ decisions: Int) -> [Int] {
      var random = RandomNumbers(1)
      let shape = StageController.Shape(stages: stages, decisions: decisions)
      return ImposedStops.decisions(ofEpisode: 4, shape, &random)
    }
    #expect(even(2, 20) == [10, 19] && even(4, 20) == [5, 10, 15, 19])
    #expect(even(3, 10) == [3, 6, 9] && even(1, 7) == [6] && even(4, 5) == [1, 2, 3, 4])
  }

  /// S - 1 different stops before the last decision, which ends the last stage; each of them occurs.
  @Test func theOtherEpisodesHaveRandomStops() {
    let seed = UInt64.random(in: 0..<1 << 40)
    var random = RandomNumbers(seed)
    let shape = StageController.Shape(stages: 3, decisions: 7)
    var seen: Set<Int> = []
    for episode in 0..<500 where episode % 5 != 4 {
      let stops = ImposedStops.decisions(ofEpisode: episode, shape, &random)
      #expect(stops.count == 3 && stops.last == 6 && Set(stops).count == 3 && stops == stops.sorted())
      seen.formUnion(stops)
    }
    #expect(seen == Set(0...6), "seed \(seed)")
  }
}
