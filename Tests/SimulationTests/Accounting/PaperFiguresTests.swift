import Engine
import Federation
import Foundation
import Simulation
import Testing

/// The tables of LW-FedSSL (arXiv 2401.11647), as printed there.
@Suite struct PaperFiguresTests {
  private let account: Account

  init() throws { account = Account(try .paper()) }

  private static func printed(_ line: Account.Line) -> String {
    String(format: "%.2f %.0f", line.paper.traffic, line.paper.gigaflops)
  }

  @Test func theStrategies() {
    let names = ["end-to-end", "layer-wise", "progressive", "layer-wise"]
    #expect(account.strategies.map(\.strategy.rawValue) == names)
    #expect(account.strategies.map(Self.printed) == ["8.40 586", "1.66 139", "5.04 318", "3.35 139"])
    #expect(account.strategies.map(\.isPlan) == [false, true, false, false])
  }

  /// The reductions relative to end-to-end training in the abstract.
  @Test func theSavings() {
    let whole = account.endToEnd.paper
    let savings = account.strategies[1...2].map {
      String(format: "%.2f %.2f", whole.traffic / $0.paper.traffic, whole.gigaflops / $0.paper.gigaflops)
    }
    #expect(savings == ["5.07 4.20", "1.67 1.84"])
  }

  /// Table 3, and depth dropout to six blocks.
  @Test(arguments: [
    (Strategy.layerWise, ["1.66 139", "2.27 180", "2.88 220", "3.49 261", "4.71 342", "1.66 111"]),
    (.progressive, ["5.04 318", "5.35 342", "5.65 367", "5.96 391", "6.57 440", "3.97 233"]),
  ])
  func layersAStage(strategy: Strategy, figures: [String]) {
    let lines = account.growth.filter { $0.strategy == strategy }
    #expect(lines.map(\.layersPerStage) == [1, 2, 3, 4, 6, 1])
    #expect(lines.map(\.activeBlocks) == [0, 0, 0, 0, 0, 6])
    #expect(lines.map(Self.printed) == figures)
  }

  @Test func theModelIsThePapers() throws {
    let model = try Plan.paper().stage(12).model
    let heads = ["projector", "predictor"].compactMap { model.part($0)?.range.count }
    #expect(heads.reduce(0, +) == 758_784)
    #expect(model.encoderRange.count == 5_360_832)
    let operations = PaperOperations(model)
    #expect(operations.blocks == Array(repeating: 30_007_296, count: 12))
    #expect(operations.stem == 64 * 48 * 192)
    let products = 192 * 512 + 512 * 512 + 512 * 256 + 256 * 512 + 512 * 256
    #expect(operations.heads == products + 5 * (512 + 512 + 512) + 4 * (256 + 256))
  }

  /// A plan that calibrates every round equals the fourth line.
  @Test func calibrationOfThePlan() throws {
    var plan = try Plan.paper()
    plan.method.calibration = Plan.Calibration(data: "shapes:512")
    let traffic = account.strategies.map(\.paper.traffic)
    #expect(Account(plan).strategies.map(\.paper.traffic) == [traffic[0], traffic[3], traffic[2]])
    plan.method.calibration?.every = .stage
    let seldom = Account(plan)
    #expect(seldom.strategies.count == 4)
    #expect(traffic[1] < seldom.strategies[1].paper.traffic)
    #expect(seldom.strategies[1].paper.traffic < traffic[3])
  }
}
