import Engine
import Federation
import Foundation
import Simulation
import Testing

@Suite struct AccountTests {
  /// Plans of every kind have an account, in which end-to-end costs most.
  @Test(arguments: [
    "encoder: {family: resnet, image: 32, width: 64}",
    "encoder: {family: resnet, image: 32, width: 8, depth: 2}\nmethod: {strategy: end-to-end, objective: byol}",
    "encoder: {image: 16, patch: 4, width: 24, depth: 1, heads: 3}",
    "encoder: {image: 16, patch: 4, width: 24, depth: 7, heads: 3}\nmethod: {strategy: progressive}",
    """
    encoder: {image: 16, patch: 4, width: 24, depth: 4, heads: 3}
    method: {layersPerStage: 2, roundsPerStage: [3, 1], calibration: {data: "shapes:8", every: 2}}
    local: {views: 4}
    """,
    """
    encoder: {image: 16, patch: 4, width: 24, depth: 12, heads: 3}
    method: {strategy: progressive, layersPerStage: 3, roundsPerStage: 1, activeBlocks: 4}
    """,
    """
    encoder: {image: 16, patch: 4, width: 24, depth: 4, heads: 3}
    method: {objective: classification, classification: {classes: 7}, cascade: {}}
    """,
    """
    encoder: {image: 16, patch: 4, width: 24, depth: 4, heads: 3}
    method: {objective: classification, classification: {classes: 7}, strategy: head-only}
    """,
    """
    encoder: {family: gcn, features: 1433, width: 16, depth: 2}
    method: {objective: classification, classification: {classes: 7}}
    """,
    """
    encoder: {family: gcn, features: 8, width: 16, depth: 3}
    method: {objective: classification, classification: {classes: 2}, strategy: progressive}
    """,
  ])
  func anyPlan(yaml: String) throws {
    let plan = try Plan(yaml: yaml, file: "plan")
    let account = Account(plan, images: 100)
    let lines = account.strategies + account.growth
    #expect(account.strategies.filter(\.isPlan).map(\.strategy) == [plan.method.strategy])
    let whole = account.endToEnd
    for line in lines {
      let figures = [
        (line.paper.traffic, whole.paper.traffic), (line.paper.gigaflops, whole.paper.gigaflops),
        (Double(line.planned.bytes), Double(whole.planned.bytes)),
        (line.planned.gigaflopsPerImage, whole.planned.gigaflopsPerImage),
        (Double(line.planned.memoryBytes), Double(whole.planned.memoryBytes)),
      ]
      // The temporary linear layer of a small ResNet is larger than the omitted layers.
      // The exits of earlier stages are in the memory of a classification, too.
      let most = plan.method.classification == nil ? 1 : 1.001
      for (part, all) in figures where plan.encoder.family == .vit { #expect(part <= most * all, "\(line)") }
      for (part, _) in figures { #expect(part > 0 && part.isFinite, "\(line)") }
    }
    let rows = account.table.split(separator: "\n").count { $0.hasPrefix("  ") || $0.hasPrefix("* ") }
    #expect(rows >= lines.count)
    #expect(account.table.split(separator: "\n").allSatisfy { $0.count <= 110 }, "\(account.table)")
    let data = try JSONEncoder().encode(account)
    #expect(try JSONDecoder().decode(Account.self, from: data) == account)
  }

  /// The weights of L-GCN on Cora (arXiv 2003.13606), of which end-to-end training sends 1.99 times as many.
  @Test func theTrafficOfLGCNOnCora() throws {
    let plan = try Plan(
      yaml: """
        encoder: {family: gcn, features: 1433, width: 16, depth: 2}
        method: {objective: classification, classification: {classes: 7}, roundsPerStage: 20}
        """, file: "plan")
    let account = Account(plan)
    let own = account.strategies.first { $0.isPlan }
    let layerWise = try #require(own).planned
    #expect(layerWise.bytesUp == 4 * 20 * (22_928 + 112 + 256 + 112))
    #expect(account.endToEnd.planned.bytesUp == 4 * 40 * 23_296)
    #expect(account.exits?.exits.map(\.depth) == [1, 2])
  }

  /// The formulas of a cascade, for equal blocks: without selection S stages cost as much as (S + 5) E / 6 epochs end to
  /// end, if the exits cost nothing.
  @Test func aCascadesTrainingCostsLess() throws {
    let text = """
      encoder: {image: 16, patch: 16, width: 96, depth: 4, heads: 3}
      method: {objective: classification, classification: {classes: 2}, roundsPerStage: 3}
      local: {epochs: 2}
      """
    let layerWise = try Plan(yaml: text, file: "plan")
    let exits = try #require(Account(layerWise, images: 1000).exits)
    #expect(exits.images == [1000, 1000, 1000, 1000] && exits.epochs == 24)
    #expect(abs(exits.equalEpochs - 9) < 0.3, "\(exits.equalEpochs)")
    #expect(exits.exits.map(\.depth) == [1, 2, 3, 4] && exits.exits[3].share > 1)
    let cascade = try Plan(
      yaml: text.replacing("roundsPerStage", with: "cascade: {}, roundsPerStage"), file: "plan")
    let less = try #require(Account(cascade, images: 1000, remaining: [0.5, 0.25]).exits)
    #expect(less.images == [1000, 500, 250, 250])
    #expect(less.training < 0.6 * exits.training && less.endToEnd == exits.endToEnd)
    let account = Account(cascade, images: 1000, remaining: [0.5, 0.25])
    #expect(account.table.contains("images by stage           1000, 500, 250, 250"))
    #expect(try JSONDecoder().decode(Account.self, from: JSONEncoder().encode(account)) == account)
    #expect(Account(try .paper()).exits == nil)
  }

  @Test func theTableShowsThePapersFigures() throws {
    let table = Account(try .paper()).table
    let rows = table.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    let figures = [
      "end-to-end 8.40 1.00 586 1.00", "* layer-wise 1.66 5.07 139 4.20", "progressive 5.04 1.67 318 1.84",
      "layer-wise, calibrated 3.35 2.51 139 4.20",
    ]
    for row in figures { #expect(rows.contains { $0.hasPrefix(row) }, "\(table)") }
  }

  /// Only numbers of layers per stage that divide the depth, all with the same number of rounds.
  @Test func growthFollowsTheDepth() throws {
    let text = "encoder: {image: 16, patch: 4, width: 24, depth: 4, heads: 3}\nmethod: {roundsPerStage: 3}"
    let account = Account(try Plan(yaml: text, file: "plan"))
    #expect(account.growth.map(\.layersPerStage) == [1, 2, 1, 1, 2, 1])
    #expect(account.growth.map(\.activeBlocks) == [0, 0, 2, 0, 0, 2])
    #expect(account.rounds == 12)
    let resnet = try Plan(yaml: "encoder: {family: resnet, image: 32, width: 8}", file: "plan")
    #expect(Account(resnet).growth.isEmpty)
    // Three rounds are too few for four stages.
    let short = text.replacingOccurrences(of: "{rounds", with: "{layersPerStage: 4, rounds")
    #expect(Account(try Plan(yaml: short, file: "plan")).growth.map(\.layersPerStage) == [2, 2])
  }
}
