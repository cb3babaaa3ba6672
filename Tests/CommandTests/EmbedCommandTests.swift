import DataFiles
import Datasets
import Engine
import Federation
import Foundation
import TestSupport
import Testing

/// `fedclient embed`: an array with a row for each image.
@Suite(.unhurried) struct EmbedCommandTests {
  private static let vit = EncoderConfiguration(image: 16, patch: 4, width: 24, depth: 2, heads: 3)
  private static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 16, channels: 1), width: 4, depth: 2))

  private func checkpoint(_ encoder: EncoderConfiguration, weight: Float? = nil) -> EncoderCheckpoint {
    var plan = Plan(encoder: encoder)
    plan.method.initialisation = .random
    let stage = plan.stage(plan.stages)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: 8)
    if let weight { parameters[stage.model.parts[1].range].flat[0, 0] = weight }
    return EncoderCheckpoint(Snapshot(stage, parameters), plan.augmentation)
  }

  private func embed(_ model: String, _ data: String, to out: String, _ more: String...) async throws
    -> Command.Outcome
  {
    try await Command("fedclient", ["embed", "--model", model, "--data", data, "--out", out] + more).outcome()
  }

  /// Returns the numbers of a NumPy array of float32 with this shape.
  private func floats(_ path: String, _ shape: [Int]) throws -> [Float] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    #expect(data.starts(with: [0x93] + Array("NUMPY".utf8) + [1, 0]))
    let length = 10 + Int(data[8]) + 256 * Int(data[9])
    let header = String(decoding: data[10..<length], as: UTF8.self)
    #expect(length % 64 == 0 && header.hasSuffix("\n"))
    #expect(
      header.hasPrefix("{'descr': '<f4', 'fortran_order': False, 'shape': (\(shape[0]), \(shape[1])), }"))
    try #require(data.count == length + 4 * shape.reduce(1, *))
    return data[length...].withUnsafeBytes { bytes in
      (0..<shape.reduce(1, *)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
  }

  @Test(arguments: [vit, resnet])
  func itHasTheEnginesRepresentations(encoder: EncoderConfiguration) async throws {
    try await withTemporaryFolder { folder in
      let checkpoint = checkpoint(encoder)
      let (model, out, data) = (folder.path("model"), folder.path("a.npy"), "shapes:40?size=20&skip=3")
      try checkpoint.encoded().write(to: URL(fileURLWithPath: model))
      let images = try DataSpec(parsing: data).load(role: .test, for: ImageFit(encoder))
      var layout = Layout()
      let made = checkpoint.configuration.makeEncoder(blocks: [0, 1], in: &layout)
      let parameters = Storage(layout)
      checkpoint.write(into: parameters)
      let augmenter = Augmenter(
        .withLabels(mean: checkpoint.mean, deviation: checkpoint.deviation), for: encoder)
      let rows = Representations.of(37, by: made, parameters, workers: Workers(1)) {
        augmenter.plain(images, index: $0, into: $2)
      }
      let expected = rows.all.array()
      for more in [["--threads", "1"], ["--threads", "2", "--batch", "5"]] {
        let outcome = try await embed(model, data, to: out, more[0], more[1])
        #expect(outcome.code == 0 && outcome.output.isEmpty && outcome.lines.count == 1, "\(outcome)")
        #expect(outcome.errors.hasPrefix("\(out): 37 x \(made.output) numbers, "), "\(outcome)")
        let got = try floats(out, [37, made.output])
        #expect(zip(got, expected).allSatisfy { abs($0 - $1) < 1e-4 }, "\(more)")
      }
      // This data set has training images too.
      let before = try floats(out, [37, made.output])
      #expect(try await embed(model, data, to: out, "--train").code == 0)
      #expect(try floats(out, [37, made.output]) != before)
    }
  }

  /// A row that is missing would shift the others.
  @Test func anUnreadableImageIsAnErrorAndNoFile() async throws {
    try await withTemporaryFolder { folder in
      let (model, images, out) = (folder.path("model"), folder.path("images"), folder.path("a.npy"))
      try checkpoint(Self.vit).encoded().write(to: URL(fileURLWithPath: model))
      try FileManager.default.createDirectory(atPath: images, withIntermediateDirectories: true)
      let jpeg = try Make.jpeg(Make.noise(16 * 16 * 3, seed: 1), height: 16, width: 16)
      for name in ["1", "2", "3"] { try Data(jpeg).write(to: URL(fileURLWithPath: "\(images)/\(name).jpg")) }
      let second = URL(fileURLWithPath: "\(images)/2.jpg")
      for broken in [Data(jpeg.prefix(jpeg.count / 2)), Data("none".utf8), Data()] {
        try broken.write(to: second)
        let outcome = try await embed(model, "folder:\(images)", to: out)
        #expect(outcome.code == 3 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
        #expect(
          outcome.errors.hasPrefix("fedclient: 1 broken file is rejected: \(second.path): "), "\(outcome)")
        #expect(Set(try FileManager.default.contentsOfDirectory(atPath: folder.path)) == ["model", "images"])
      }
      try FileManager.default.removeItem(at: second)
      #expect(try await embed(model, "folder:\(images)", to: out).code == 0)
      #expect(try floats(out, [2, 24]).allSatisfy(\.isFinite))
    }
  }

  @Test func whatCannotBeEmbeddedHasOneLine() async throws {
    try await withTemporaryFolder { folder in
      try checkpoint(Self.vit).encoded().write(to: folder.appendingPathComponent("model"))
      try checkpoint(Self.vit, weight: 3e38).encoded().write(to: folder.appendingPathComponent("diverged"))
      let out = folder.path("a.npy")
      for (file, data, out, code, text) in [
        ("none", "shapes:10", out, 3, "none: there is no such file"),
        ("model", "folder:\(folder.path("x"))", out, 3, "x: no such directory"),
        ("diverged", "shapes:10", out, 3, "diverged: the encoder's outputs are not finite"),
        ("model", "shapes:10", folder.path("none/a.npy"), 7, "No such file or directory"),
      ] as [(String, String, String, Int32, String)] {
        let outcome = try await embed(folder.path(file), data, to: out)
        #expect(outcome.code == code && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.hasPrefix("fedclient: ") && outcome.errors.contains(text), "\(outcome)")
      }
      #expect(!FileManager.default.fileExists(atPath: out))
      let usage = try await Command.run("fedclient", "embed", "--model", "x", "--data", "shapes:10")
      #expect(usage.code == 64, "\(usage)")
    }
  }
}
