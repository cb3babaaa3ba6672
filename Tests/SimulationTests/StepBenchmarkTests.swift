import Engine
import Simulation
import Testing

@Suite struct StepBenchmarkTests {
  /// Each objective of plans that has steps can be measured.
  @Test(arguments: ObjectiveKind.allCases.filter(\.trainsOnBatches))
  func everyObjectiveHasItsFigures(objective: ObjectiveKind) throws {
    var benchmark = StepBenchmark()
    (benchmark.objective, benchmark.stage, benchmark.batch) = (objective, 2, 4)
    (benchmark.threads, benchmark.steps) = (1, 1)
    let result = try benchmark.run()
    #expect(result.objective == objective.rawValue && result.stepSeconds.median > 0)
    #expect(result.bottleneckShare == nil)
  }

  /// A step with a bottleneck is measured against the same step without it, and its memory is planned.
  @Test func theBottleneckHasItsShare() throws {
    var benchmark = StepBenchmark()
    (benchmark.objective, benchmark.stage, benchmark.batch) = (.classification, 2, 4)
    (benchmark.threads, benchmark.steps, benchmark.bottleneck) = (1, 1, 2)
    let result = try benchmark.run()
    let share = try #require(result.bottleneckShare)
    #expect(share.isFinite && share > -1)
    benchmark.bottleneck = nil
    #expect(try #require(result.plannedMemoryBytes) > benchmark.run().plannedMemoryBytes ?? 0)
  }
}
