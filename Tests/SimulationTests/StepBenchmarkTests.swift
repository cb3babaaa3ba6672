import Engine
import Simulation
import Testing

@Suite struct StepBenchmarkTests {
  /// Each objective of plans can be measured.
  @Test(arguments: ObjectiveKind.allCases) func everyObjectiveHasItsFigures(objective: ObjectiveKind) throws {
    var benchmark = StepBenchmark()
    (benchmark.objective, benchmark.stage, benchmark.batch) = (objective, 2, 4)
    (benchmark.threads, benchmark.steps) = (1, 1)
    let result = try benchmark.run()
    #expect(result.objective == objective.rawValue && result.stepSeconds.median > 0)
  }
}
