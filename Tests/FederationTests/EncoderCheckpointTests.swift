import Datasets
import Engine
import Federation
import Foundation
import Testing

@Suite struct EncoderCheckpointTests {
  private static let vit = EncoderConfiguration(
    image: 8, channels: 1, patch: 4, width: 8, depth: 3, heads: 2, mlpRatio: 3)
  private static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 16), width: 3, depth: 4))

  private static func snapshot(_ encoder: EncoderConfiguration, stage index: Int) -> Snapshot {
    let stage = Stage(
      .layerWise, index: index, encoder,
      objective: .contrastive(HeadConfiguration(hidden: 6, output: 4)))
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: 4)
    return Snapshot(stage, parameters)
  }

  private static func sample(_ encoder: EncoderConfiguration = vit, stage: Int? = nil) -> EncoderCheckpoint {
    var augmentation = AugmentationSettings()
    augmentation.mean = [0.4914]
    augmentation.deviation = [1 / 3]
    return EncoderCheckpoint(snapshot(encoder, stage: stage ?? encoder.depth), augmentation)
  }

  /// Returns the sample's file after a change.
  private func file(
    _ change: (_ metadata: inout [String: String], _ tensors: inout [String: Safetensors.Tensor]) -> Void
  ) throws -> Data {
    let old = try Safetensors(parsing: Self.sample().encoded())
    var (new, tensors) = (Safetensors(), old.tensors)
    new.metadata = old.metadata
    change(&new.metadata, &tensors)
    for name in tensors.keys.sorted() { new.add(name, tensors[name]!) }
    return try new.encoded()
  }

  private func rejection(
    of data: Data, _ hints: EncoderCheckpoint.Hints = .init(), at location: SourceLocation = #_sourceLocation
  ) -> CheckpointError? {
    let error = #expect(throws: CheckpointError.self, sourceLocation: location) {
      try EncoderCheckpoint(parsing: data, hints)
    }
    let lines = error?.description.split(whereSeparator: \.isNewline).count
    #expect(lines == 1, "\(error?.description ?? "")", sourceLocation: location)
    return error
  }

  @Test(arguments: [(vit, 3), (vit, 1), (resnet, 4), (resnet, 2)])
  func aFileReadsBackEqual(encoder: EncoderConfiguration, stage: Int) throws {
    let snapshot = Self.snapshot(encoder, stage: stage)
    let data = try Self.sample(encoder, stage: stage).encoded()
    let read = try EncoderCheckpoint(parsing: data)
    var expected = encoder
    expected.depth = stage
    #expect(read.configuration == expected)
    #expect(read.mean == [0.4914] && read.deviation == [1 / 3])
    #expect(try read.encoded() == data)
    // The parameters fit any layout that begins with the encoder's.
    let old = Storage(snapshot.stage.model.layout)
    let new = Storage(snapshot.stage.model.layout)
    snapshot.write(into: old)
    read.write(into: new)
    let range = snapshot.stage.model.encoderRange
    #expect(read.layout.count == range.count)
    #expect(old[range].array() == new[range].array())
    #expect(new[range.upperBound..<new.count].array().allSatisfy { $0 == 0 })
  }

  @Test func theFileHoldsTimmsTensorsAndTexts() throws {
    let file = try Safetensors(parsing: Self.sample().encoded())
    #expect(file.tensors == Self.snapshot(Self.vit, stage: 3).encoderTensors().tensors)
    #expect(Set(file.metadata.keys) == ["strata.encoder", "strata.mean", "strata.deviation"])
    #expect(file.metadata["strata.mean"] == "[0.4914]")
    #expect(file.metadata["strata.encoder"]?.contains(#""family":"vit""#) == true)
  }

  /// Values that the shapes do not determine must be given; the normalisation is then a plan's.
  @Test func aFileWithoutADescriptionNeedsHints() throws {
    let data = try file { metadata, tensors in
      metadata = ["format": "pt"]
      tensors["head.weight"] = .init(shape: [5, 8], values: .init(repeating: 1, count: 40))
      tensors["head.bias"] = .init(shape: [5], values: .init(repeating: 1, count: 5))
    }
    let read = try EncoderCheckpoint(parsing: data, .init(image: 8, patch: 4, heads: 2))
    #expect(read.configuration == Self.vit)
    #expect(read.mean == AugmentationSettings().mean && read.deviation == AugmentationSettings().deviation)
    #expect(rejection(of: data)?.missing == ["image", "patch", "heads"])
    #expect(rejection(of: data, .init(patch: 4))?.missing == ["image", "heads"])
    #expect(rejection(of: data)?.description.contains("strata.encoder") == true)
    for (hints, text) in [
      (.init(image: 12, patch: 4, heads: 2), "pos_embed is [1, 5, 8], where this encoder has [1, 10, 8]"),
      (.init(image: 9, patch: 4, heads: 2), "does not divide"),
      (.init(image: 8, patch: 2, heads: 2), "patches are 4 x 4 by its tensors, not 2 x 2"),
      (.init(image: 8, patch: 4, heads: 3), "heads"), (.init(image: 8, patch: 4, heads: 0), "heads"),
      (.init(image: 8, patch: -4, heads: 2), "patch"), (.init(image: .max, patch: 4, heads: 2), "image"),
    ] as [(EncoderCheckpoint.Hints, String)] {
      let error = rejection(of: data, hints)
      #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
      #expect(error?.missing == [])
    }
  }

  @Test func hintsMustAgreeWithTheDescription() throws {
    let data = try Self.sample().encoded()
    #expect(
      try EncoderCheckpoint(parsing: data, .init(image: 8, heads: 2)).configuration == Self.vit)
    #expect(rejection(of: data, .init(heads: 4))?.description == "heads is 2 by its metadata, not 4")
  }

  @Test func everyTensorMustBeThereInItsShape() throws {
    for entry in Self.sample().layout.entries {
      let missing = rejection(of: try file { $1[entry.name] = nil })
      #expect(missing?.description == "\(entry.name) is missing")
      let shape = entry.shape + [2]
      let values = [Float](repeating: 0, count: shape.reduce(1, *))
      let reshaped = rejection(of: try file { $1[entry.name] = .init(shape: shape, values: values) })
      #expect(
        reshaped?.description == "\(entry.name) is \(shape), where this encoder has \(entry.shape)")
    }
    let hints = EncoderCheckpoint.Hints(image: 8, patch: 4, heads: 2)
    for name in ["cls_token", "patch_embed.proj.weight", "blocks.0.mlp.fc1.weight", "blocks.1.norm1.weight"] {
      let missing = rejection(of: try file { ($0, $1[name]) = ([:], nil) }, hints)
      #expect(missing?.description.hasPrefix("\(name) is missing") == true)
      let flat = Safetensors.Tensor(shape: [1], values: [1])
      _ = rejection(of: try file { ($0, $1[name]) = ([:], flat) }, hints)
    }
    let far = try file { ($0, $1["blocks.99999999999999999999.x"]) = ([:], .init(shape: [], values: [1])) }
    #expect(rejection(of: far, hints)?.description.contains("is not a tensor of this encoder") == true)
    let high = try file { ($0, $1["blocks.9223372036854775807.x"]) = ([:], .init(shape: [], values: [1])) }
    #expect(rejection(of: high, hints)?.description.contains("encoder.depth") == true)
    let uneven = Safetensors.Tensor(shape: [25, 8], values: .init(repeating: 0, count: 200))
    let error = rejection(of: try file { ($0, $1["blocks.0.mlp.fc1.weight"]) = ([:], uneven) }, hints)
    #expect(error?.description.contains("multiple of the width, 8") == true)
  }

  /// Ignoring a tensor that the file computes with would give the results of another encoder.
  @Test func aTensorTooManyIsRejected() throws {
    for name in ["blocks.0.ls1.gamma", "blocks.3.norm1.weight", "reg_token", "a\nb"] {
      let error = rejection(of: try file { $1[name] = .init(shape: [1], values: [1]) })
      #expect(error?.description.contains("is not a tensor of this encoder") == true, "\(name)")
    }
  }

  @Test(arguments: [Float.nan, .infinity]) func numbersMustBeFinite(value: Float) throws {
    let data = try file { $1["norm.bias"] = .init(shape: [8], values: [1, 2, value, 0, 0, 0, 0, 0]) }
    #expect(rejection(of: data)?.description == "norm.bias contains a number that is not finite")
  }

  @Test func everyTruncationIsRejected() throws {
    let data = try Self.sample().encoded()
    for count in stride(from: 0, to: data.count, by: 97) { _ = rejection(of: data.prefix(count)) }
    _ = rejection(of: data.dropLast())
  }

  /// Metadata are checked before anything is built from them.
  @Test func whatTheMetadataSayIsChecked() throws {
    let encoder =
      #"{"channels":1,"depth":3,"family":"vit","heads":2,"image":8,"mlpRatio":3,"patch":4,"width":8}"#
    for (key, text, problem) in [
      ("encoder", nil, "strata.encoder"), ("mean", nil, "strata.mean is missing"),
      ("deviation", nil, "strata.deviation is missing"), ("encoder", "{", "cannot be understood"),
      ("encoder", "{}\n", "cannot be understood"), ("mean", "0.5", "strata.mean"),
      ("mean", "[1e99]", "strata.mean"), ("mean", "[]", "augmentation.mean"),
      ("mean", "[0.5,0.5]", "augmentation.mean"), ("deviation", "[0]", "augmentation.deviation"),
      ("encoder", encoder.replacing("vit", with: "mlp"), "cannot be understood"),
      ("encoder", encoder.replacing(#""image":8"#, with: #""image":10"#), "encoder.patch"),
      ("encoder", encoder.replacing(#""image":8"#, with: #""image":12"#), "pos_embed"),
      ("encoder", encoder.replacing(#""image":8"#, with: #""image":-8"#), "encoder.image"),
      ("encoder", encoder.replacing(#""width":8"#, with: #""width":9223372036854775806"#), "encoder.width"),
      ("encoder", encoder.replacing(#""depth":3"#, with: #""depth":0"#), "encoder.depth"),
      ("encoder", encoder.replacing(#""depth":3"#, with: #""depth":4"#), "blocks.3.norm1.weight is missing"),
      ("encoder", encoder.replacing(#""depth":3"#, with: #""depth":2"#), "is not a tensor of this encoder"),
      ("encoder", encoder.replacing(#""heads":2"#, with: #""heads":3"#), "encoder.width"),
      ("encoder", encoder.replacing(#""channels":1"#, with: #""channels":2"#), "encoder.channels"),
      ("encoder", encoder.replacing("vit", with: "resnet"), "conv1.weight is missing"),
    ] as [(String, String?, String)] {
      let error = rejection(of: try file { metadata, _ in metadata["strata.\(key)"] = text })
      #expect(error?.description.contains(problem) == true, "\(text ?? key): \(error?.description ?? "")")
    }
    #expect(
      try EncoderCheckpoint(parsing: file { metadata, _ in metadata["strata.encoder"] = encoder })
        .configuration == Self.vit)
  }
}
