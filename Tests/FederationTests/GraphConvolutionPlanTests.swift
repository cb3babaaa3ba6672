import Engine
import Federation
import Foundation
import Testing

/// Plans and files of graph convolutional networks.
@Suite struct GraphConvolutionPlanTests {
  private static let text = """
    encoder: {family: gcn, features: 1433, width: 16, depth: 2}
    method: {objective: classification, classification: {classes: 7}}
    """

  private static func plan() throws -> Plan { try Plan(yaml: text, file: "plan") }

  private static func snapshot(_ plan: Plan, stage index: Int, seed: UInt64 = 4) -> Snapshot {
    let stage = plan.stage(index)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return Snapshot(stage, parameters)
  }

  private static func checkpoint(_ plan: Plan, stage index: Int) -> EncoderCheckpoint {
    EncoderCheckpoint(snapshot(plan, stage: index), plan.augmentation, method: plan.method)
  }

  @Test func aPlanHasTheStagesOfLGCN() throws {
    let plan = try Self.plan()
    #expect(plan.method.initialisation == .random && plan.encoder.gcn.propagation == .lgcn)
    #expect(plan.stages == 2)
    let stages = [1, 2].map { plan.stage($0) }
    #expect(
      stages.map { $0.parts.map(\.name) } == [["blocks.0", "classifier"], ["blocks.1", "classifier"]])
    #expect(stages.map { $0.parts.map(\.range.count) } == [[22_928, 112], [256, 112]])
    // The classifier of stage 1 stays behind as an exit.
    #expect(stages[1].model.parts.map(\.name) == ["blocks.0", "blocks.1", "classifier", "exits.1"])
    var endToEnd = plan
    endToEnd.method.strategy = .endToEnd
    #expect(endToEnd.stage(1).count == 23_296)
    let options = plan.trainingOptions(.whole, stage: 1, images: 140, nodes: 2708)
    #expect(options.batch == min(plan.local.batch, 140) && options.nodes == 2708)
    #expect(plan.trainingOptions(.whole, stage: 1, images: 140).nodes == 140)
  }

  @Test(arguments: [
    ("method: {objective: simclr}", "method.objective: is simclr; a gcn is trained for the objective"),
    (
      "method: {objective: classification, classification: {classes: 7}, initialisation: transfer}",
      "method.initialisation: is transfer; each layer of a gcn starts at random"
    ),
    (
      "method: {objective: classification, classification: {classes: 7, hidden: 4}}",
      "method.classification.hidden: is 4; must be 0 for a gcn"
    ),
    (
      "method: {objective: classification, classification: {classes: 7, grid: 2}}",
      "method.classification.grid: is 2; only a resnet has a map"
    ),
    (
      "method: {objective: classification, classification: {classes: 7}, kinetic: {tau: 10}}",
      "method.kinetic.tau: is of a term on residual branches"
    ),
    (
      "method: {objective: classification, classification: {classes: 7}, bottleneck: {}}",
      "method.bottleneck.weight: is of a term that compares images"
    ),
    (
      "method: {objective: classification, classification: {classes: 7}, calibration: {data: 'shapes:8'}}",
      "method.calibration.data: is of a calibration with images"
    ),
    (
      "method: {objective: classification, classification: {classes: 7}, cascade: {}}",
      "method.cascade.confidence: is of a cascade"
    ),
    (
      "method: {objective: classification, classification: {classes: 7}}\nlocal: {views: 4}",
      "local.views: is 4; must be 0 for a gcn"
    ),
  ])
  func saysWhatAnLGCNDoesNotHave(section: String, complaint: String) throws {
    let lines = complaints("encoder: {family: gcn, features: 1433, width: 16, depth: 2}\n\(section)")
    #expect(lines.count == 1, "\(lines)")
    #expect(lines.first?.contains(complaint) == true, "\(lines)")
  }

  @Test(arguments: [
    ("family: gcn, width: 16, depth: 2", "encoder.features: is missing"),
    ("family: gcn, features: 0, width: 16, depth: 2", "encoder.features: is '0'"),
    ("family: gcn, features: 9, width: 16, depth: 2, image: 32", "encoder.image: is not a field of a gcn"),
    (
      "family: gcn, features: 9, width: 16, depth: 2, propagation: gcn",
      "encoder.propagation: is 'gcn'; this version knows lgcn, mean"
    ),
    ("family: gcn, features: 1048576, width: 8192, depth: 1", "encoder.width: gives layers of 8589934592"),
    ("image: 32, patch: 4, width: 96, depth: 4, heads: 3, propagation: lgcn", "encoder.propagation: is not"),
  ])
  func rejectsAnImpossibleEncoder(encoder: String, complaint: String) {
    let method = "method: {objective: classification, classification: {classes: 7}}"
    let lines = complaints("encoder: {\(encoder)}\n\(method)")
    #expect(lines.count == 1 && lines.first?.contains(complaint) == true, "\(lines)")
  }

  // MARK: - Files

  /// The tensors are the state of PyTorch Geometric's GCN, with the exits of the stages before.
  @Test func theFileHoldsPyTorchGeometricsNames() throws {
    let plan = try Self.plan()
    let file = try Safetensors(parsing: Self.checkpoint(plan, stage: 2).encoded())
    #expect(
      file.tensors.mapValues(\.shape) == [
        "convs.0.lin.weight": [16, 1433], "convs.1.lin.weight": [16, 16], "lin.weight": [7, 16],
        "lin.bias": [7], "exits.1.lin.weight": [7, 16],
      ])
    #expect(file.tensors["lin.bias"]?.values.allSatisfy { $0 == 0 } == true)
    #expect(Set(file.metadata.keys) == ["strata.encoder", "strata.exits"], "nodes are not normalised")
    #expect(file.metadata["strata.encoder"]?.contains(#""propagation":"lgcn""#) == true)
  }

  @Test(arguments: [1, 2]) func aFileReadsBackEqual(stage: Int) throws {
    let plan = try Self.plan()
    let checkpoint = Self.checkpoint(plan, stage: stage)
    let data = try checkpoint.encoded()
    let read = try EncoderCheckpoint(parsing: data)
    #expect(read.configuration == checkpoint.configuration && read.configuration.depth == stage)
    #expect(try read.encoded() == data && read.tensors == checkpoint.tensors)
    #expect(read.exits?.depths == Array(1...stage))
    // An encoder alone, without a classifier, is a file too.
    let alone = EncoderCheckpoint(Self.snapshot(plan, stage: stage), plan.augmentation)
    #expect(try EncoderCheckpoint(parsing: alone.encoded()).exits == nil)
  }

  @Test func aFileWithABiasIsRejected() throws {
    let old = try Safetensors(parsing: Self.checkpoint(Self.plan(), stage: 2).encoded())
    var new = Safetensors()
    new.metadata = old.metadata
    for (name, tensor) in old.tensors.sorted(by: { $0.key < $1.key }) {
      let values = name == "lin.bias" ? [0, 0, 0.5, 0, 0, 0, 0] : tensor.values
      new.add(name, Safetensors.Tensor(shape: tensor.shape, values: values))
    }
    let data = try new.encoded()
    let error = #expect(throws: CheckpointError.self) { try EncoderCheckpoint(parsing: data) }
    #expect(error?.description == "lin.bias is not 0, where this classifier has no bias")
  }

  /// The weights of PyTorch Geometric's GCN, or of an exported file, start another plan.
  @Test func aFileIsTheStartOfAnotherPlan() throws {
    let plan = try Self.plan()
    let data = try Self.checkpoint(plan, stage: 2).encoded()
    #expect(try InitialWeights(parsing: data, for: plan.encoder).parts == ["blocks.0", "blocks.1"])
    var shallow = plan.encoder
    shallow.depth = 1
    #expect(try InitialWeights(parsing: data, for: shallow).parts == ["blocks.0"])
    var other = plan.encoder
    other.gcn.propagation = .mean
    let error = #expect(throws: CheckpointError.self) { try InitialWeights(parsing: data, for: other) }
    #expect(error?.description == "propagation is lgcn by its metadata, where this encoder has mean")
    var plain = Safetensors()
    for (name, tensor) in try Safetensors(parsing: data).tensors.sorted(by: { $0.key < $1.key }) {
      plain.add(name, tensor)
    }
    #expect(try InitialWeights(parsing: plain.encoded(), for: other).parts == ["blocks.0", "blocks.1"])
  }
}
