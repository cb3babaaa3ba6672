import Engine
import Export
import Federation
import Foundation
import TestSupport
import Testing

/// Other software reads the files and gets the engine's results; `make interop` runs only these tests.
@Suite(
  .serialized, .unhurried,
  .enabled("python3 has no onnx and onnxruntime (make interop)") { await Python.hasONNX })
struct InteropTests {
  @Test(arguments: [
    ("vit", EncoderFixture.vit, 3), ("vit-unfinished", EncoderFixture.vit, 1),
    (
      "vit-tiny",
      EncoderConfiguration(image: 32, patch: 4, width: 192, depth: 12, heads: 3), 12
    ),
    (
      "vit-one-patch", EncoderConfiguration(image: 8, patch: 8, width: 12, depth: 2, heads: 12, mlpRatio: 1),
      2
    ),
    ("resnet", EncoderFixture.resnet, 4), ("resnet-unfinished", EncoderFixture.resnet, 2),
    (
      "resnet-18",
      EncoderConfiguration(
        ResNetConfiguration(images: ImageInput(side: 16), width: 64, depth: 4)),
      4
    ),
    (
      "resnet-odd",
      EncoderConfiguration(
        ResNetConfiguration(images: ImageInput(side: 9, channels: 1), width: 4, depth: 1)), 1
    ),
  ])
  func othersComputeTheSame(name: String, encoder: EncoderConfiguration, depth: Int) async throws {
    try await compare(name) { EncoderFixture(encoder, depth: depth, seed: $0).checkpoint }
  }

  /// The exits of a classification, beside the representations.
  @Test(
    arguments: [
      ("vit-exits", EncoderFixture.vit, .init(classes: .count(7))),
      ("vit-hidden", EncoderFixture.vit, .init(classes: .count(3), hidden: 6)),
      ("resnet-exits", EncoderFixture.resnet, .init(classes: .count(7))),
      ("resnet-grid", EncoderFixture.resnet, .init(classes: .count(7), hidden: 6, grid: 2)),
      (
        "resnet-18-exits",
        EncoderConfiguration(ResNetConfiguration(images: ImageInput(side: 16), width: 64, depth: 4)),
        .init(classes: .count(10), grid: 2)
      ),
    ] as [(String, EncoderConfiguration, Plan.Classification)])
  func othersClassifyTheSame(
    name: String, encoder: EncoderConfiguration, classification: Plan.Classification
  ) async throws {
    try await compare(name) { EncoderFixture(encoder, classification: classification, seed: $0).checkpoint }
  }

  private func compare(_ name: String, _ make: (UInt64) -> EncoderCheckpoint) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("strata-\(UUID().uuidString)").appendingPathComponent(name)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder.deletingLastPathComponent()) }
    let checkpoint = make(seed)
    for (file, bytes) in [
      ("encoder.safetensors", try checkpoint.encoded()), ("encoder.onnx", try checkpoint.onnx()),
      ("expected.safetensors", try expected(checkpoint, seed: seed)),
    ] { try bytes.write(to: folder.appendingPathComponent(file)) }
    let (code, output) = try await Python.check([folder.path])
    print("InteropTests: seed \(seed)\n\(output)", terminator: "")
    #expect(code == 0, "seed \(seed): \(output)")
  }

  /// Returns random images and the engine's outputs: representations and, at each exit, classes and confidences.
  private func expected(_ checkpoint: EncoderCheckpoint, seed: UInt64, count: Int = 5) throws -> Data {
    let c = checkpoint.configuration
    var layout = Layout()
    let encoder = c.makeEncoder(blocks: Array(0..<c.depth), in: &layout)
    let parameters = Storage(layout)
    checkpoint.write(into: parameters)
    var random = RandomNumbers(seed, "images")
    let images = (0..<count * c.input.count).map { _ in random.normal() }
    let result = Representations.of(count, by: encoder, parameters, workers: Workers(1)) { image, _, pixels in
      for index in 0..<c.input.count { pixels[index] = images[image * c.input.count + index] }
    }
    var file = Safetensors()
    file.add("images", .init(shape: [count, c.imageChannels, c.imageSide, c.imageSide], values: images))
    file.add("representations", .init(shape: [count, c.output], values: result.all.array()))
    if let model = checkpoint.classifier {
      let own = Storage(model.layout)
      checkpoint.write(model.layout.entries, into: own)
      let answers = EarlyExits.answers(model, own, images: count, workers: Workers(1)) { image, pixels in
        for index in 0..<c.input.count { pixels[index] = images[image * c.input.count + index] }
      }
      let shape = [answers.count, count]
      file.add("classes", .init(shape: shape, values: answers.joined().map { Float($0.label) }))
      file.add("confidences", .init(shape: shape, values: answers.joined().map(\.confidence)))
    }
    return try file.encoded()
  }
}
