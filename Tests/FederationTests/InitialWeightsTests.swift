import Datasets
import Engine
import Federation
import Foundation
import Testing

@Suite struct InitialWeightsTests {
  private static let vit = EncoderConfiguration(
    image: 8, channels: 1, patch: 4, width: 8, depth: 2, heads: 2, mlpRatio: 3)
  private static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 16), width: 3, depth: 4))

  private func stage(_ encoder: EncoderConfiguration, _ index: Int) -> Stage {
    Stage(
      .layerWise, index: index, encoder,
      objective: .contrastive(HeadConfiguration(hidden: 6, output: 4)))
  }

  private func random(_ stage: Stage, seed: UInt64) -> Storage {
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return parameters
  }

  /// Returns a file of a stage's encoder after a change.
  private func file(
    _ encoder: EncoderConfiguration = vit, stage index: Int? = nil,
    _ change: (_ metadata: inout [String: String], _ tensors: inout [String: Safetensors.Tensor]) -> Void = {
      _, _ in
    }
  ) throws -> Data {
    let stage = stage(encoder, index ?? encoder.depth)
    let checkpoint = EncoderCheckpoint(
      Snapshot(stage, random(stage, seed: 4)), AugmentationSettings())
    var (file, tensors) = (Safetensors(), checkpoint.tensors)
    file.metadata = try checkpoint.metadata()
    change(&file.metadata, &tensors)
    for name in tensors.keys.sorted() { file.add(name, tensors[name]!) }
    return try file.encoded()
  }

  private func rejection(_ data: Data, of encoder: EncoderConfiguration = vit) -> String {
    let error = #expect(throws: CheckpointError.self) { try InitialWeights(parsing: data, for: encoder) }
    #expect(error?.description.contains(where: \.isNewline) == false)
    return error?.description ?? ""
  }

  @Test(arguments: [
    (vit, ["stem", "blocks.0", "blocks.1", "norm"]),
    (resnet, ["stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3"]),
  ])
  func everyPartIsTaken(encoder: EncoderConfiguration, parts: [String]) throws {
    let data = try file(encoder)
    let weights = try InitialWeights(parsing: data, for: encoder)
    #expect(weights.parts == Set(parts) && weights.digest == Digest(of: data))
    let stage = stage(encoder, encoder.depth)
    let from = random(stage, seed: 4)
    let to = random(stage, seed: 5)
    let before = random(stage, seed: 5)
    for part in stage.model.parts { weights.write(part, of: stage.model, into: to) }
    let range = stage.model.encoderRange
    #expect(to[range].array() == from[range].array())
    let heads = range.upperBound..<stage.model.layout.count
    #expect(to[heads].array() == before[heads].array(), "heads are not in the file")
  }

  @Test func partsThatAreNotThereAreLeft() throws {
    let data = try file { _, tensors in tensors = tensors.filter { !$0.key.hasPrefix("blocks.1.") } }
    let weights = try InitialWeights(parsing: data, for: Self.vit)
    #expect(weights.parts == ["stem", "blocks.0", "norm"])
    let stage = stage(Self.vit, 2)
    let parameters = random(stage, seed: 5)
    let before = random(stage, seed: 5)
    let part = try #require(stage.model.part("blocks.1"))
    weights.write(part, of: stage.model, into: parameters)
    #expect(parameters[part.range].array() == before[part.range].array())
  }

  @Test func aWrongShapeIsNamedWithBoth() throws {
    let data = try file { _, tensors in
      tensors["blocks.1.mlp.fc1.bias"] = .init(shape: [25], values: .init(repeating: 0, count: 25))
    }
    #expect(rejection(data) == "blocks.1.mlp.fc1.bias is [25], where this encoder has [24]")
  }

  @Test func aPartInPiecesIsRejected() throws {
    let data = try file { $1["blocks.1.attn.qkv.bias"] = nil }
    #expect(rejection(data) == "blocks.1.attn.qkv.bias is missing, but other tensors of blocks.1 are present")
    #expect(rejection(try file { $1["cls_token"] = nil }).hasPrefix("cls_token is missing"))
  }

  /// Ignores the classifier, and the layers above the encoder's last block.
  @Test func whatIsNoneOfTheEncodersIsLeftOut() throws {
    let one = Safetensors.Tensor(shape: [1], values: [1])
    let data = try file { metadata, tensors in
      metadata = ["format": "pt"]
      for name in ["head.weight", "head.bias", "blocks.2.norm1.weight", "blocks.99999999999999999999.x"] {
        tensors[name] = one
      }
    }
    #expect(try InitialWeights(parsing: data, for: Self.vit).parts.count == 4)
    let deep = try file(Self.resnet) { $1["fc.weight"] = one }
    var shallow = Self.resnet
    shallow.depth = 2
    #expect(try InitialWeights(parsing: deep, for: shallow).parts == ["stem", "blocks.0", "blocks.1"])
  }

  /// The temporary layer of a ResNet belongs to its stage.
  @Test func anAdapterIsNotTaken() throws {
    let data = try file(Self.resnet, stage: 2)
    #expect(try Safetensors(parsing: data).tensors["adapter.weight"] != nil)
    let weights = try InitialWeights(parsing: data, for: Self.resnet)
    #expect(weights.parts == ["stem", "blocks.0", "blocks.1"])
  }

  /// torchvision's normalisations count batches in int64.
  @Test func countsOfBatchesAreLeftOut() throws {
    let text = #"{"bn1.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}"#
    let header = withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { Data($0) } + Data(text.utf8)
    #expect(rejection(header + Data(count: 8), of: Self.resnet).hasPrefix("none of its tensors"))
    let head = header.count + 8
    #expect(throws: Safetensors.FormatError.self) { try Safetensors(parsing: header + Data(count: head)) }
  }

  @Test func aTensorThatWouldBeMissedIsRejected() throws {
    let one = Safetensors.Tensor(shape: [1], values: [1])
    for name in ["blocks.0.ls1.gamma", "reg_token", "norm_pre.weight", "a\nb"] {
      #expect(rejection(try file { $1[name] = one }).contains("is not a tensor of this encoder"), "\(name)")
    }
  }

  @Test func otherHeadsAreAnotherEncoder() throws {
    var other = Self.vit
    other.vit.heads = 4
    #expect(rejection(try file(), of: other) == "heads is 2 by its metadata, where this encoder has 4")
    #expect(
      rejection(try file { metadata, _ in metadata["strata.encoder"] = "{" }).contains("strata.encoder"))
  }

  @Test func numbersMustBeFinite() throws {
    let data = try file { $1["norm.bias"] = .init(shape: [8], values: [1, 2, .nan, 0, 0, 0, 0, 0]) }
    #expect(rejection(data) == "norm.bias contains a number that is not finite")
  }

  @Test func whatHoldsNothingIsRejected() throws {
    #expect(rejection(try file { $1 = [:] }).hasPrefix("none of its tensors"))
    #expect(rejection(Data("what?".utf8)).contains("not a safetensors file"))
    let whole = try file()
    for count in stride(from: 0, to: whole.count, by: 97) { _ = rejection(whole.prefix(count)) }
  }
}
