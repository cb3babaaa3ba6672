import Datasets
import Engine
import Federation
import Foundation
import Simulation
import TestSupport
import Testing

@Suite(.unhurried) struct PlannedFiguresTests {
  /// Returns a plan with so many weights that message overhead is negligible.
  private static func plan(
    _ strategy: Strategy, calibration: Plan.Calibration.Interval? = nil, activeBlocks: Int = 0,
    family: EncoderConfiguration.Family = .vit
  ) -> Plan {
    let isViT = family == .vit
    var plan = Plan(
      name: "account", seed: 7,
      encoder: isViT
        ? EncoderConfiguration(image: 8, patch: 4, width: 168, depth: 4, heads: 3)
        : EncoderConfiguration(ResNetConfiguration(images: ImageInput(side: 8), width: 24, depth: 3)),
      heads: HeadConfiguration(hidden: 256, output: 64),
      method: Plan.Method(
        strategy: strategy, roundsPerStage: .each(2), initialisation: isViT ? .transfer : .random,
        objective: .byol, activeBlocks: activeBlocks,
        calibration: calibration.map { Plan.Calibration(data: "shapes:8", every: $0) }))
    plan.local = Plan.LocalTraining(epochs: 1, batch: 8)
    plan.round = Plan.RoundRules(cohort: 2)
    return plan
  }

  @Test(arguments: [
    plan(.endToEnd), plan(.layerWise), plan(.progressive), plan(.layerWise, calibration: .rounds(2)),
    plan(.layerWise, calibration: .round), plan(.layerWise, activeBlocks: 2),
    plan(.progressive, activeBlocks: 2), plan(.layerWise, family: .resnet),
  ])
  func bytesAreThoseOfARun(plan: Plan) async throws {
    let planned = PlannedFigures(plan, images: TinyRun.imagesOfAClient)
    let client = try #require(try await TinyRun.summary(plan).clients.first)
    #expect(client.name == "client-0")
    for (counted, bytes) in [(client.bytesUp, planned.bytesUp), (client.bytesDown, planned.bytesDown)] {
      #expect(bytes <= counted && Double(counted) <= 1.01 * Double(bytes), "\(counted), planned \(bytes)")
    }
  }

  /// The number of steps times the operations of a step, for the images in training.
  @Test(arguments: Strategy.allCases) func operationsAreThoseOfTheSteps(strategy: Strategy) {
    let plan = Self.plan(strategy)
    var operations = 0
    for index in 1...plan.stages {
      let step = OperationCount.step(plan.stage(index), batch: 8, branches: 2)
      operations += plan.mostRounds(stage: index) * 2 * step
    }
    for images in [16, 20] {
      let planned = PlannedFigures(plan, images: images)
      let calculated = Double(operations) / Double(images) / 1e9
      #expect(abs(planned.gigaflopsPerImage / calculated - 1) < 1e-12)
    }
    // A client with fewer images than a batch uses a batch of all its images.
    let few = PlannedFigures(plan, images: 5), many = PlannedFigures(plan, images: 16)
    #expect(abs(few.gigaflopsPerImage / many.gigaflopsPerImage - 1) < 1e-12)
    #expect(few.memoryBytes < many.memoryBytes)
  }

  /// With cached views a step omits the frozen layers, which the cache has applied before.
  @Test func cachedViewsCostOnce() {
    var plan = Self.plan(.layerWise)
    plan.local.epochs = 10
    let fresh = PlannedFigures(plan, images: 16).gigaflopsPerImage
    plan.local.views = 2
    let cached = PlannedFigures(plan, images: 16).gigaflopsPerImage
    // Of 40 views in each stage the frozen layers process 2, each of them once.
    let operations = plan.stage(4).model.encoder.operations
    let (stem, block) = (Double(operations.stem), Double(operations.blocks[0]))
    let frozen = 40 * (3 * stem + 6 * block)
    #expect(abs((fresh - cached) * 1e9 - (frozen - 2 * (stem + 3 * block))) < 1)
    plan.method.calibration = Plan.Calibration(data: "shapes:8")
    let calibrated = PlannedFigures(plan, images: 16).gigaflopsPerImage
    #expect(abs((fresh - calibrated) * 1e9 - (frozen - 2 * 2 * (3 * stem + 6 * block))) < 1)
  }

  @Test func memoryIsThatOfTheLargestStage() {
    let plan = Self.plan(.progressive)
    let bytes = (1...4).map { index in
      let options = plan.trainingOptions(.whole, stage: 1, images: 16)
      return MemoryPlan(plan.stage(index), options, workers: 1).bytes
    }
    let planned = PlannedFigures(plan, images: 16)
    #expect(planned.memoryBytes == bytes.max() && planned.memoryStage == 4)
  }
}
