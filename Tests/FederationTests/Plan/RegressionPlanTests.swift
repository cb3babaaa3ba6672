import Engine
import Federation
import Foundation
import Testing

/// Plans of deep linear networks, whose stages take exact steps.
@Suite struct RegressionPlanTests {
  private static let encoder = "encoder: {family: linear, features: 8, outputs: 5, width: 20, depth: 4}"

  private static func plan(_ method: String = "{}", more: String = "") throws -> Plan {
    try Plan(yaml: "\(encoder)\nmethod: \(method)\n\(more)", file: "plan")
  }

  @Test func theDefaultsFit() throws {
    let plan = try Self.plan()
    #expect(plan.method.objective == .regression && plan.method.alignment == 0)
    #expect(plan.method.initialisation == .random && plan.encoder.linear.start == .orthogonal)
    #expect(plan.method.regression == nil && plan.regression == Plan.Regression())
    #expect(plan.stages == 4 && plan.mostRounds == 4)
    #expect(try Plan(yaml: plan.yaml(), file: "written") == plan)
    let exchange = try Self.plan("{regression: {statistics: exchange}, laps: 3}")
    #expect(exchange.stages == 12 && exchange.mostRounds == 24)
    #expect(try Plan(yaml: exchange.yaml(), file: "written") == exchange)
    #expect(try Self.plan("{regression: {statistics: exchange}, roundsPerStage: 2}").mostRounds == 16)
  }

  /// All matrices exist in every stage, and one of them trains.
  @Test func aStageTrainsOneMatrixOfAll() throws {
    for order in SweepOrder.allCases {
      let plan = try Self.plan("{laps: 2, regression: {order: \(order.rawValue)}}")
      let blocks = order.blocks(4)
      for index in 1...plan.stages {
        let stage = plan.stage(index)
        #expect(stage.model.parts.map(\.name) == (0..<4).map { "blocks.\($0)" })
        #expect(stage.parts.map(\.name) == ["blocks.\(blocks[(index - 1) % 4])"])
        #expect(stage.content.lap == (index - 1) / 4 + 1)
      }
    }
    // Two floats a number.
    #expect(try Self.plan().stage(1).model.parts.map(\.range.count) == [320, 800, 800, 200])
  }

  @Test func withAnExchangeTheModelHasTheSummedGradient() throws {
    let plan = try Self.plan("{regression: {statistics: exchange}}")
    let parts = (1...4).map { plan.stage($0).parts.map { "\($0.name) \($0.range.count)" } }
    #expect(
      parts == [
        ["blocks.0 320", "gradient 322"], ["blocks.1 800", "gradient 802"],
        ["blocks.2 800", "gradient 802"], ["blocks.3 200", "gradient 202"],
      ])
  }

  /// Growing keeps every matrix, whatever trains next.
  @Test func aStageGoesOnFromTheMatricesOfTheLast() throws {
    let plan = try Self.plan("{laps: 2, regression: {statistics: exchange}}")
    var snapshot = plan.firstSnapshot()
    let first = snapshot.manifest
    for _ in 1..<plan.stages {
      snapshot = plan.grow(snapshot)
      #expect(Array(snapshot.manifest.prefix(4)) == Array(first.prefix(4)))
    }
  }

  @Test(arguments: [
    ("{strategy: end-to-end}", "", "method.strategy: is end-to-end in a regression"),
    ("{layersPerStage: 2}", "", "method.layersPerStage: is 2 in a regression"),
    ("{objective: simclr}", "", "method.objective: is simclr; a linear network is trained for regression"),
    ("{initialisation: transfer}", "", "method.initialisation: is transfer; all matrices of a linear"),
    ("{stageEnd: {when: plateau}}", "", "method.stageEnd.when: is plateau in a regression"),
    ("{alignment: 0.1}", "", "method.alignment: is 0.1 in a regression"),
    ("{activeBlocks: 2}", "", "method.activeBlocks: is 2 in a regression"),
    ("{calibration: {data: 'shapes:8'}}", "", "method.calibration.data: is shapes:8 in a regression"),
    ("{kinetic: {tau: 1}}", "", "method.kinetic.tau: is of kinetic in a regression"),
    ("{bottleneck: {}}", "", "method.bottleneck.weight: is of bottleneck in a regression"),
    ("{}", "local: {proximal: 1}", "local.proximal: is 1.0 in a regression"),
    ("{}", "local: {views: 2}", "local.views: is 2 in a regression"),
    ("{}", "traffic: {codec: int8}", "traffic.codec: is int8 in a regression, whose updates are sums"),
    ("{}", "traffic: {codec: float32}", "traffic.codec: is float32 in a regression"),
    ("{}", "traffic: {layers: bfloat16}", "traffic.layers: is bfloat16 in a regression"),
    ("{}", "round: {aggregation: median}", "round.aggregation: is median in a regression"),
    ("{}", "round: {normLimit: 2}", "round.normLimit: is 2.0 in a regression"),
    ("{}", "round: {maxSamples: 9}", "round.maxSamples: is 9 in a regression"),
    ("{}", "round: {stragglers: fold}", "round.stragglers: is fold in a regression"),
  ])
  func whatHasNoMeaningIsRejectedByName(method: String, more: String, complaint: String) {
    let error = #expect(throws: PlanError.self) { try Self.plan(method, more: more) }
    #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
  }

  @Test func losslessLayersAreTaken() throws {
    #expect(try Self.plan(more: "traffic: {layers: float32}").traffic.layers == .float32)
  }

  @Test(arguments: [
    (
      "encoder: {image: 8, patch: 4, width: 8, depth: 1, heads: 1}\nmethod: {objective: regression}",
      "method.objective: is regression, which is for the family linear; this plan has vit"
    ),
    (
      "encoder: {image: 8, patch: 4, width: 8, depth: 1, heads: 1}\nmethod: {regression: {}}",
      "method.regression.order: is only for the objective regression; this plan has simclr"
    ),
    ("encoder: {family: linear, features: 8, width: 2, depth: 1}", "encoder.outputs: is missing"),
    (
      "encoder: {family: linear, features: 16385, outputs: 1, width: 2, depth: 1}",
      "encoder.features: is 16385; a linear network has at most 16384"
    ),
    (
      "encoder: {family: linear, features: 8192, outputs: 8192, width: 8192, depth: 9}",
      "encoder.width: gives matrices of 603979776 numbers"
    ),
    (
      "encoder: {family: linear, features: 8, outputs: 1, width: 2, depth: 1, heads: 2}",
      "encoder.heads: is not a field of a linear encoder"
    ),
  ])
  func otherPlansAreRejected(text: String, complaint: String) {
    let error = #expect(throws: PlanError.self) { try Plan(yaml: text, file: "plan") }
    #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
  }
}
