import Engine
import Federation
import Foundation
import Testing

/// Plans that come from elsewhere than a file, checked as values.
@Suite struct PlanProblemsTests {
  private static let plan = Plan(
    encoder: EncoderConfiguration(image: 32, patch: 4, width: 192, depth: 12, heads: 3))

  private static let integers: [(String, WritableKeyPath<Plan, Int> & Sendable)] = [
    ("encoder.image", \.encoder.imageSide), ("encoder.channels", \.encoder.imageChannels),
    ("encoder.patch", \.encoder.vit.patch), ("encoder.width", \.encoder.width),
    ("encoder.depth", \.encoder.depth), ("encoder.heads", \.encoder.vit.heads),
    ("encoder.mlpRatio", \.encoder.vit.mlpRatio), ("heads.hidden", \.heads.hidden),
    ("heads.output", \.heads.output), ("method.layersPerStage", \.method.layersPerStage),
    ("method.laps", \.method.laps), ("method.stageEnd.window", \.method.stageEnd.window),
    ("method.stageEnd.minimum", \.method.stageEnd.minimum), ("method.activeBlocks", \.method.activeBlocks),
    ("local.epochs", \.local.epochs), ("local.batch", \.local.batch), ("local.views", \.local.views),
    ("round.cohort", \.round.cohort), ("round.quorum", \.round.quorum),
    ("round.minimumClients", \.round.minimumClients), ("round.overSelection", \.round.overSelection),
    ("round.attempts", \.round.attempts), ("round.trim", \.round.trim),
    ("augmentation.padding", \.augmentation.padding),
  ]

  private static let numbers: [(String, WritableKeyPath<Plan, Float> & Sendable)] = [
    ("local.learningRate", \.local.learningRate), ("local.weightDecay", \.local.weightDecay),
    ("local.proximal", \.local.proximal), ("traffic.kept", \.traffic.kept),
    ("round.normLimit", \.round.normLimit), ("method.momentum", \.method.momentum),
    ("method.temperature", \.method.temperature), ("method.alignment", \.method.alignment),
    ("method.stageEnd.improvement", \.method.stageEnd.improvement),
  ]

  @Test func aValidPlanHasNone() {
    #expect(Self.plan.problems.isEmpty)
  }

  /// The same problem as that of the file with the value.
  @Test(arguments: integers.indices) func anIntegerOutOfBoundsIsNamed(index: Int) throws {
    let (field, place) = Self.integers[index]
    for value in [Int.min, -1, Int.max] {
      var plan = Self.plan
      plan[keyPath: place] = value
      let problem = try #require(plan.problems.first, "\(field): \(value)")
      #expect(problem.field == field && problem.reason.contains("\(value)"), "\(problem)")
      let error = try #require(throws: PlanError.self) { try Plan(yaml: plan.yaml(), file: "") }
      #expect(error.problems.contains { $0.field == field && $0.reason == problem.reason }, "\(error)")
    }
  }

  @Test(arguments: numbers.indices) func aNumberOutOfBoundsIsNamed(index: Int) throws {
    let (field, place) = Self.numbers[index]
    for value in [-1, 1e30, .nan, .infinity] as [Float] {
      var plan = Self.plan
      plan[keyPath: place] = value
      #expect(plan.problems.contains { $0.field == field }, "\(field): \(value)")
    }
  }

  /// No combination of values traps, whichever the checks of other fields use.
  @Test func noValuesTrap() {
    let seed = UInt64.random(in: 0..<1 << 40)
    var random = RandomNumbers(seed)
    let values = [Int.min, -1, 0, 1, 2, 3, 4, 5, 7, 12, 32, 192, 256, 1 << 31, Int.max]
    for trial in 0..<20_000 {
      var plan = Self.plan
      if trial % 2 == 1 {
        plan.encoder = EncoderConfiguration(ResNetConfiguration(images: ImageInput(side: 32), width: 8))
      }
      if trial % 3 == 1 { plan.method.calibration = Plan.Calibration(data: "shapes:8") }
      plan.method.strategy = Strategy.allCases[trial % 3]
      plan.round.aggregation = AggregationRule.allCases[trial % AggregationRule.allCases.count]
      for (field, place) in Self.integers where Int.random(in: 0..<3, using: &random) == 0 {
        if trial % 2 == 1 && ["encoder.patch", "encoder.heads", "encoder.mlpRatio"].contains(field) {
          continue
        }
        plan[keyPath: place] = values[Int.random(in: 0..<values.count, using: &random)]
      }
      let problems = plan.problems
      #expect(problems.allSatisfy { !$0.reason.contains("\n") }, "seed \(seed), trial \(trial)")
      guard problems.isEmpty else { continue }
      #expect(throws: Never.self, "seed \(seed), trial \(trial)") { try Plan(yaml: plan.yaml(), file: "") }
    }
  }
}
