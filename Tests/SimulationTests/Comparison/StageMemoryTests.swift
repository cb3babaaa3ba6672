import Engine
import Federation
import Simulation
import Support
import Testing

@Suite struct StageMemoryTests {
  @Test func everyStageOfEveryStrategyTakesAStep() throws {
    for strategy in Strategy.allCases {
      for views in [0, 2] {
        var plan = Plan.tiny(strategy)
        plan.local.views = views
        for stage in 1...plan.stages {
          let result = try StageMemory(plan, stage: stage, images: 10, threads: 1).measure()
          #expect(result.stage == stage && result.batch == 10)
          let planned = MemoryPlan(
            plan.stage(stage), plan.trainingOptions(.whole, stage: stage, images: 10), workers: 1)
          #expect(result.plannedMemoryBytes == planned.bytes && result.peakMemoryBytes > planned.bytes)
        }
      }
    }
  }

  @Test func aLimitThatIsTooLowIsRejected() {
    var plan = Plan.tiny()
    plan.local.memory = ByteCount(bytes: 100_000)
    #expect(throws: MemoryPlan.TooSmall.self) {
      try StageMemory(plan, stage: 1, images: 16, threads: 1).measure()
    }
  }
}
