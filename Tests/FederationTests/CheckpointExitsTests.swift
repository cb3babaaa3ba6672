import Datasets
import Engine
import Federation
import Foundation
import Testing

/// The exits of a classification in an encoder's file.
@Suite struct CheckpointExitsTests {
  private static let vit = EncoderConfiguration(
    image: 8, channels: 1, patch: 4, width: 8, depth: 3, heads: 2, mlpRatio: 3)
  private static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 16), width: 3, depth: 4))

  private static func plan(
    _ encoder: EncoderConfiguration = vit, _ strategy: Strategy = .layerWise, hidden: Int = 0, grid: Int = 1
  ) -> Plan {
    var plan = Plan(encoder: encoder)
    (plan.method.strategy, plan.method.initialisation) = (strategy, .random)
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(
      classes: .names(["cat", "dog", "cow", "hen", "owl"]), hidden: hidden, grid: grid)
    return plan
  }

  private static func snapshot(_ plan: Plan, stage index: Int, seed: UInt64 = 4) -> Snapshot {
    let stage = plan.stage(index)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return Snapshot(stage, parameters)
  }

  private static func checkpoint(_ plan: Plan, stage index: Int) -> EncoderCheckpoint {
    EncoderCheckpoint(
      snapshot(plan, stage: index), plan.augmentation, method: plan.method)
  }

  /// Returns the file of three exits after a change.
  private func file(
    _ change: (_ metadata: inout [String: String], _ tensors: inout [String: Safetensors.Tensor]) -> Void
  ) throws -> Data {
    let old = try Safetensors(parsing: Self.checkpoint(Self.plan(), stage: 3).encoded())
    var (new, tensors) = (Safetensors(), old.tensors)
    new.metadata = old.metadata
    change(&new.metadata, &tensors)
    for name in tensors.keys.sorted() { new.add(name, tensors[name]!) }
    return try new.encoded()
  }

  /// Returns random images [count][C·H·W] as a source of an encoder's images.
  private func images(_ encoder: EncoderConfiguration) -> (Int, UnsafeMutablePointer<Float>) -> Void {
    { index, place in
      var random = RandomNumbers(7, "image \(index)")
      for pixel in 0..<encoder.input.count { place[pixel] = random.normal() }
    }
  }

  /// A file's model answers at each exit as the model that was exported, to the bit.
  @Test(arguments: [
    (plan(vit), 3, [1, 2, 3]), (plan(vit, hidden: 6), 2, [1, 2]), (plan(resnet), 4, [1, 2, 3, 4]),
    (plan(resnet, hidden: 6, grid: 2), 4, [1, 2, 3, 4]), (plan(resnet, grid: 2), 2, [1, 2]),
    (plan(vit, .endToEnd), 1, [3]), (plan(vit, .headOnly), 1, [3]),
  ])
  func aFileReadsBackEqual(plan: Plan, stage: Int, depths: [Int]) throws {
    let snapshot = Self.snapshot(plan, stage: stage)
    let data = try Self.checkpoint(plan, stage: stage).encoded()
    let read = try EncoderCheckpoint(parsing: data)
    #expect(try read.encoded() == data)
    let exits = try #require(read.exits)
    #expect(exits.depths == depths && exits.classes == plan.method.classification?.classes)
    let model = try #require(read.classifier)
    let own = Storage(model.layout)
    let exported = Storage(snapshot.stage.model.layout)
    read.write(model.layout.entries, into: own)
    snapshot.write(into: exported)
    let (workers, source) = (Workers(1), images(plan.encoder))
    let expected = EarlyExits.answers(snapshot.stage.model, exported, images: 5, workers: workers, source)
    #expect(EarlyExits.answers(model, own, images: 5, workers: workers, source) == expected)
  }

  /// A progressive plan trains the blocks below its earlier classifiers on, so they are of no use.
  @Test func onlyALayerWisePlanLeavesEarlierExits() throws {
    let plan = Self.plan(Self.vit, .progressive)
    let checkpoint = Self.checkpoint(plan, stage: 3)
    #expect(Self.snapshot(plan, stage: 3).stage.model.exits.count == 2)
    #expect(checkpoint.exits?.depths == [3])
    #expect(!checkpoint.tensors.keys.contains { $0.hasPrefix("exits.") })
    #expect(try EncoderCheckpoint(parsing: checkpoint.encoded()).exits?.depths == [3])
  }

  @Test func theEncoderKeepsItsNames() throws {
    let (plan, snapshot) = (Self.plan(), Self.snapshot(Self.plan(), stage: 3))
    let file = try Safetensors(parsing: Self.checkpoint(plan, stage: 3).encoded())
    let encoder = snapshot.encoderTensors().tensors
    #expect(encoder.allSatisfy { file.tensors[$0] == $1 })
    #expect(
      Set(file.names).subtracting(encoder.keys)
        == [
          "classifier.0.weight", "classifier.0.bias", "exits.1.norm.weight", "exits.1.norm.bias",
          "exits.1.classifier.0.weight", "exits.1.classifier.0.bias", "exits.2.norm.weight",
          "exits.2.norm.bias", "exits.2.classifier.0.weight", "exits.2.classifier.0.bias",
        ])
    #expect(
      file.metadata["strata.exits"]
        == #"{"classes":["cat","dog","cow","hen","owl"],"depths":[1,2,3],"grid":1,"hidden":0}"#)
  }

  /// Another plan can start from the encoder, whatever its classes.
  @Test(arguments: [plan(vit, hidden: 6), plan(resnet, grid: 2)])
  func itCanBeInitial(plan: Plan) throws {
    let data = try Self.checkpoint(plan, stage: plan.stages).encoded()
    let weights = try InitialWeights(parsing: data, for: plan.encoder)
    #expect(weights.parts.contains("stem") && weights.parts.contains("blocks.2"))
    #expect(!weights.parts.contains { $0.hasPrefix("exits") || $0.hasPrefix("classifier") })
  }

  private func rejection(of data: Data, at location: SourceLocation = #_sourceLocation) -> String {
    let error = #expect(throws: CheckpointError.self, sourceLocation: location) {
      try EncoderCheckpoint(parsing: data)
    }
    let text = error?.description ?? ""
    #expect(text.split(whereSeparator: \.isNewline).count == 1, "\(text)", sourceLocation: location)
    return text
  }

  @Test func theTensorsOfAllExitsMustBeThere() throws {
    let checkpoint = Self.checkpoint(Self.plan(), stage: 3)
    for name in try #require(checkpoint.classifier).layout.entries.map(\.name) {
      #expect(rejection(of: try file { $1[name] = nil }) == "\(name) is missing")
    }
    let small = Safetensors.Tensor(shape: [4, 8], values: .init(repeating: 0, count: 32))
    #expect(
      rejection(of: try file { $1["exits.2.classifier.0.weight"] = small })
        == "exits.2.classifier.0.weight is [4, 8], where this encoder has [5, 8]")
    let bias = Safetensors.Tensor(shape: [5], values: [0, 0, .nan, 0, 0])
    #expect(
      rejection(of: try file { $1["classifier.0.bias"] = bias })
        == "classifier.0.bias contains a number that is not finite")
    let one = Safetensors.Tensor(shape: [1], values: [1])
    for name in ["exits.3.norm.weight", "exits.1.adapter.weight", "classifier.2.weight", "commitment.weight"]
    {
      let text = rejection(of: try file { $1[name] = one })
      #expect(text == "'\(name)' is not a tensor of this encoder")
    }
    // Without its description an exit is no part of the encoder.
    let text = rejection(of: try file { metadata, _ in metadata["strata.exits"] = nil })
    #expect(text.contains("is not a tensor of this encoder"))
  }

  @Test func whatTheMetadataSayIsChecked() throws {
    func exits(
      _ classes: String = "5", depths: String = "[1,2,3]", grid: String = "1", hidden: String = "0"
    ) -> String {
      #"{"classes":\#(classes),"depths":\#(depths),"grid":\#(grid),"hidden":\#(hidden)}"#
    }
    #expect(
      try EncoderCheckpoint(parsing: file { metadata, _ in metadata["strata.exits"] = exits() }).exits?
        .classes
        == .count(5))
    for (text, problem) in [
      ("[]", "strata.exits of its metadata cannot be understood"), ("{}", "cannot be understood"),
      (exits("1e30"), "cannot be understood"), (exits(#"["a",1]"#), "cannot be understood"),
      (exits("0"), "classification.classes"), (exits("-5"), "classification.classes"),
      (exits("9223372036854775807"), "classification.classes"),
      (exits(#"["a","a","b","c","d"]"#), "classification.classes"), (exits("[]"), "classification.classes"),
      (exits("4"), "classifier.0.weight is [5, 8], where this encoder has [4, 8]"),
      (exits("100000"), "classifier.0.weight is [5, 8]"),
      (exits(hidden: "-1"), "classification.hidden"),
      (exits(hidden: "9223372036854775807"), "classification.hidden"),
      (exits(hidden: "3"), "classifier.0.weight is [5, 8], where this encoder has [3, 8]"),
      (exits(grid: "0"), "classification.grid"), (exits(grid: "2"), "classification.grid"),
      (exits(grid: "9223372036854775807"), "classification.grid"),
      (exits(grid: "-9223372036854775808"), "classification.grid"),
      (exits(depths: "[]"), "must ascend"), (exits(depths: "[1,2]"), "must ascend"),
      (exits(depths: "[0,3]"), "must ascend"), (exits(depths: "[-1,3]"), "must ascend"),
      (exits(depths: "[2,1,3]"), "must ascend"), (exits(depths: "[1,1,3]"), "must ascend"),
      (exits(depths: "[1,2,3,4]"), "must ascend"), (exits(depths: "[9223372036854775807]"), "must ascend"),
      (exits(depths: "[3]"), "is not a tensor of this encoder"),
    ] {
      let got = rejection(of: try file { metadata, _ in metadata["strata.exits"] = text })
      #expect(got.contains(problem), "\(text): \(got)")
    }
  }

  @Test func everyTruncationIsRejected() throws {
    let data = try Self.checkpoint(Self.plan(), stage: 3).encoded()
    for count in stride(from: 0, to: data.count, by: 97) { _ = rejection(of: data.prefix(count)) }
  }
}
