import Engine
import Federation
import Foundation
import Testing

/// Plans and files of graph attention networks.
@Suite struct GraphAttentionPlanTests {
  private static let encoder = "encoder: {family: gat, features: 1433, width: 64, depth: 2}"

  private static func plan(_ more: String = "") throws -> Plan {
    try Plan(yaml: encoder + "\n" + more, file: "plan")
  }

  @Test func aPlanHasTheStagesOfLRGI() throws {
    let plan = try Self.plan()
    #expect(plan.encoder.gat.heads == 4 && plan.encoder.gat.skip)
    #expect(plan.method.objective == .infomax && plan.method.initialisation == .random)
    #expect(plan.method.alignment == 0 && plan.local.neighbours == [10, 5])
    let stages = [1, 2].map { plan.stage($0) }
    // A stage trains a block and both predictors.
    #expect(
      stages.map { $0.parts.map(\.name) }
        == [["blocks.0", "local", "global"], ["blocks.1", "local", "global"]])
    let predictor = 2 * 8 * 64 * 64 + 8 * 64 + 64
    #expect(
      stages.map { $0.parts.map(\.range.count) }
        == [[2 * 64 * 1433 + 192, predictor, predictor], [2 * 64 * 64 + 192, predictor, predictor]])
    #expect(stages[1].model.parts.map(\.name) == ["blocks.0", "blocks.1", "local", "global"])
    let options = plan.trainingOptions(.whole, stage: 1, images: 300, nodes: 2708)
    #expect(options.batch == 256 && options.nodes == 2708 && options.fanouts == [10, 5])
  }

  @Test func termsAndNeighbours() throws {
    let plan = try Self.plan(
      "method: {infomax: {prediction: 50, variance: 25, covariance: 10, hops: 2}}\nlocal: {neighbours: all}")
    #expect(
      plan.method.infomax
        == GraphInfomaxConfiguration(prediction: 50, variance: 25, covariance: 10, hops: 2))
    #expect(plan.local.neighbours == nil)
    let objective = try #require(plan.stage(1).model.objective as? GraphInfomaxObjective)
    #expect(objective.configuration == plan.method.infomax && objective.hops == 2)
    #expect(plan.trainingOptions(.whole, stage: 1, images: 300).fanouts == nil)
    #expect(try Self.plan("local: {neighbours: [3, 2, 1]}").local.neighbours == [3, 2, 1])
  }

  @Test(arguments: [
    ("method: {objective: simclr}", "method.objective: is simclr; a gat is trained for infomax"),
    (
      "method: {objective: classification, classification: {classes: 7}}",
      "method.objective: is classification; a gat is trained for infomax"
    ),
    ("method: {initialisation: transfer}", "method.initialisation: is transfer; the first block of a gat"),
    ("method: {activeBlocks: 1}", "method.activeBlocks: is 1; every block of a gat must run"),
    ("method: {alignment: 0.1}", "method.alignment: is 0.1; must be 0 for infomax"),
    ("method: {kinetic: {tau: 10}}", "which a gat does not have"),
    ("method: {bottleneck: {}}", "a gat takes nodes"),
    ("method: {calibration: {data: 'shapes:8'}}", "method.calibration.data: is of a calibration with images"),
    ("method: {infomax: {hops: 0}}", "method.infomax.hops: is '0'; must be: integer 1"),
    ("method: {infomax: {variance: -1}}", "method.infomax.variance: is '-1'; must be: number 0"),
    ("local: {views: 4}", "local.views: is 4; must be 0 for a gat"),
    ("local: {neighbours: []}", "local.neighbours: has 0 entries; must be: all, or a list"),
    ("local: {neighbours: [10, 0]}", "local.neighbours: entry 2 is '0'"),
    ("local: {neighbours: some}", "local.neighbours: is 'some'; must be: all, or a list"),
    ("local: {batch: 60000, neighbours: [100, 100]}", "local.neighbours: samples up to 606060000 nodes"),
  ])
  func saysWhatAGATDoesNotHave(section: String, complaint: String) {
    let lines = complaints("\(Self.encoder)\n\(section)")
    #expect(lines.count == 1 && lines.first?.contains(complaint) == true, "\(lines)")
  }

  @Test(arguments: [
    (
      "family: gat, features: 9, width: 10, depth: 2",
      "encoder.width: is 10, which is not a multiple of 4 heads"
    ),
    ("family: gat, width: 16, depth: 2", "encoder.features: is missing"),
    ("family: gat, features: 9, width: 16, depth: 2, patch: 4", "encoder.patch: is not a field of a gat"),
    ("family: gcn, features: 9, width: 16, depth: 2, heads: 2", "encoder.heads: is not a field of a gcn"),
    ("family: gat, features: 1048576, width: 8192, depth: 1", "encoder.width: gives blocks and predictors"),
    ("image: 32, patch: 4, width: 96, depth: 4", "encoder.heads: is missing"),
    (
      "image: 32, patch: 4, width: 96, depth: 4, heads: 3, skip: true",
      "encoder.skip: is not a field of a vit"
    ),
  ])
  func rejectsAnImpossibleEncoder(encoder: String, complaint: String) {
    let isGCN = encoder.contains("gcn")
    let method = isGCN ? "\nmethod: {objective: classification, classification: {classes: 7}}" : ""
    let lines = complaints("encoder: {\(encoder)}" + method)
    #expect(lines.count == 1 && lines.first?.contains(complaint) == true, "\(lines)")
  }

  @Test func infomaxIsForGraphs() {
    let lines = complaints(
      "encoder: {image: 32, patch: 4, width: 96, depth: 4, heads: 3}\nmethod: {objective: infomax}")
    #expect(lines.count == 1 && lines[0].contains("is infomax, which is for the family gat"), "\(lines)")
  }

  /// A file has the encoder alone, with the names of PyTorch Geometric, and can be read again.
  @Test func files() throws {
    let plan = try Self.plan()
    let stage = plan.stage(2)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: 4)
    let checkpoint = EncoderCheckpoint(Snapshot(stage, parameters), plan.augmentation, method: plan.method)
    let block = ["conv.att_dst", "conv.att_src", "conv.bias", "conv.lin.weight", "skip.weight"]
    #expect(
      checkpoint.tensors.keys.sorted() == [0, 1].flatMap { index in block.map { "blocks.\(index).\($0)" } })
    #expect(checkpoint.tensors["blocks.1.conv.att_src"]?.shape == [1, 4, 16])
    let read = try EncoderCheckpoint(parsing: checkpoint.encoded())
    #expect(read.configuration == plan.encoder && read.tensors == checkpoint.tensors)
    // Other heads make another encoder of the same weights.
    var other = plan.encoder
    other.gat.heads = 2
    #expect(throws: CheckpointError.self) {
      try InitialWeights(parsing: checkpoint.encoded(), for: other)
    }
  }
}
