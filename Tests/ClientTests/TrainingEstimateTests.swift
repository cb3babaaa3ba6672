import Client
import Datasets
import Engine
import Federation
import Support
import Testing

@Suite struct TrainingEstimateTests {
  private func plan(views: Int = 0, strategy: String = "layer-wise") throws -> Plan {
    try Plan(
      yaml: """
        encoder: {image: 16, patch: 4, width: 24, depth: 2, heads: 3}
        heads: {hidden: 16, output: 8}
        method: {strategy: \(strategy), roundsPerStage: 4}
        local: {epochs: 3, batch: 16, views: \(views)}
        """, file: "plan")
  }

  private let images = Shapes.generate(count: 40, size: 16, channels: 3, seed: 1, role: .train)

  @Test(arguments: [0, 2])
  func everyStageHasItsFigures(views: Int) throws {
    let plan = try plan(views: views)
    let estimate = TrainingEstimate(plan, .images(images), threads: 1, limit: nil)
    for index in 1...2 {
      let figures = estimate.measure(stage: index)
      #expect(figures.stage == index && figures.rounds == 4 && figures.batch == 16)
      // Two complete batches of 40 images, three times.
      #expect(figures.steps == 6)
      #expect(try #require(figures.secondsPerRound) > 0 && figures.problem == nil)
      let options = plan.trainingOptions(.whole, stage: index, images: 40)
      let trainer = MemoryPlan(plan.stage(index), options, workers: 1).bytes
      #expect(figures.memoryBytes > trainer, "the process has more than its trainer")
    }
  }

  /// A step needs labels, also if noise stands for the outputs of frozen layers.
  @Test(arguments: [0, 2]) func aClassificationHasItsFigures(views: Int) throws {
    var plan = try plan(views: views)
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(10))
    let estimate = TrainingEstimate(plan, try plan.labelled(.images(images)), threads: 1, limit: nil)
    for index in 1...2 { #expect(try #require(estimate.measure(stage: index).secondsPerRound) > 0) }
  }

  @Test func aRegressionHasItsFigures() throws {
    let plan = try Plan(
      yaml: "encoder: {family: linear, features: 8, outputs: 5, width: 9, depth: 3}", file: "plan")
    let rows = Dataset.rows(GeneratedRows().rows(1000, role: .train))
    for limit in [nil, ByteCount("1MB")] {
      let estimate = TrainingEstimate(plan, try plan.labelled(rows), threads: 1, limit: limit)
      for index in 1...3 {
        let figures = estimate.measure(stage: index)
        #expect(figures.rounds == 1 && figures.steps == 1 && figures.batch == 1000)
        #expect((figures.secondsPerRound == nil) == (limit != nil))
        #expect(
          (figures.problem?.contains("MB of memory, and 0 MB are available") ?? false) == (limit != nil))
      }
    }
  }

  @Test func aStageThatDoesNotFitSaysWhatItNeeds() throws {
    let figures = TrainingEstimate(try plan(), .images(images), threads: 1, limit: ByteCount("1MB")).measure(
      stage: 2)
    #expect(figures.secondsPerRound == nil)
    #expect(figures.problem?.contains("MB of memory, and ") == true)
  }
}
