import DataFiles
import Datasets
import Engine
import Federation
import Foundation
import TestSupport
import Testing

/// `fedclient classify`: its results in each format, and its rejections.
@Suite(.unhurried) struct ClassifyCommandTests {
  private static let vit = EncoderConfiguration(
    image: 16, patch: 4, width: 24, depth: 3, heads: 3, mlpRatio: 2)
  private static let resnet = EncoderConfiguration(
    ResNetConfiguration(images: ImageInput(side: 16), width: 4, depth: 3))
  private static let names = ClassList.names(["cat", "cow", "dog"])

  /// Returns the file of a model with an exit after each block, whose confidences differ widely.
  private static func model(
    _ encoder: EncoderConfiguration = vit, classes: ClassList = names, grid: Int = 1, weight: Float? = nil
  ) -> EncoderCheckpoint {
    var plan = Plan(encoder: encoder)
    (plan.method.objective, plan.method.initialisation) = (.classification, .random)
    plan.method.classification = Plan.Classification(classes: classes, grid: grid)
    let stage = plan.stage(plan.stages)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: 5)
    for entry in stage.model.layout.entries where entry.name.hasSuffix("classifier.0.weight") {
      var random = RandomNumbers(6, entry.name)
      let values = parameters[entry.slot].flat
      for index in 0..<values.count { values[0, index] = weight ?? random.normal() * 0.5 }
    }
    return EncoderCheckpoint(
      Snapshot(stage, parameters), plan.augmentation, method: plan.method)
  }

  /// Writes a model and a folder of 30 JPEGs of several sizes, a few of them grey.
  private func withModel(
    _ checkpoint: EncoderCheckpoint,
    _ body: (_ model: String, _ images: String, _ folder: URL) async throws -> Void
  ) async throws {
    try await withTemporaryFolder { folder in
      for index in 0..<30 {
        let (side, channels) = (16 + 9 * (index % 3), index % 5 == 0 ? 1 : 3)
        let pixels = Make.noise(side * 20 * channels, seed: UInt64(index))
        let name = "images/\(index % 2 == 0 ? "cat" : "dog")/\(index).jpg"
        let file = folder.appendingPathComponent(name)
        try FileManager.default.createDirectory(
          at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(try Make.jpeg(pixels, height: side, width: 20, channels: channels)).write(to: file)
      }
      try checkpoint.encoded().write(to: folder.appendingPathComponent("model"))
      try await body(folder.path("model"), folder.path("images"), folder)
    }
  }

  private func classify(_ model: String, _ data: String, _ more: String...) async throws -> Command.Outcome {
    try await Command("fedclient", ["classify", "--model", model, "--data", data] + more).outcome()
  }

  private struct Row: Equatable {
    let image, name: String
    let confidence: Float
    let exit: Int
  }

  /// Returns the rows of a CSV without quoted cells.
  private func rows(_ csv: String) throws -> [Row] {
    let lines = csv.split(separator: "\n")
    try #require(lines.first == "image,class,confidence,exit")
    return try lines.dropFirst().map { line in
      let cells = line.split(separator: ",").map(String.init)
      return Row(
        image: cells[0], name: cells[1], confidence: try #require(Float(cells[2])),
        exit: try #require(Int(cells[3])))
    }
  }

  /// The engine's predictions of the same images, one by one.
  private func expected(
    _ checkpoint: EncoderCheckpoint, _ data: String, confidence: Float?
  ) throws -> [EarlyExits.Prediction] {
    let images = try DataSpec(parsing: data).load(role: .test, for: ImageFit(checkpoint.configuration))
    let model = try #require(checkpoint.classifier)
    let parameters = Storage(model.layout)
    checkpoint.write(model.layout.entries, into: parameters)
    let augmenter = Augmenter(
      .withLabels(mean: checkpoint.mean, deviation: checkpoint.deviation), for: checkpoint.configuration)
    let exits = EarlyExits(model, chunk: 1)
    return (0..<images.count).flatMap { index in
      exits.classify(1, leaving: confidence.map { ExitRule(confidence: $0) }, parameters) {
        augmenter.plain(images, index: index, into: $1)
      }
    }
  }

  /// Each image leaves where the engine says, whatever the format, the threads and the batch.
  @Test(arguments: [(vit, 1), (resnet, 1), (resnet, 2)])
  func aFolderOfJPEGsIsClassified(encoder: EncoderConfiguration, grid: Int) async throws {
    let checkpoint = Self.model(encoder, grid: grid)
    try await withModel(checkpoint) { model, images, folder in
      let data = "folder:\(images)"
      var used: Set<Int> = []
      for confidence in [nil, 0, 0.4, 0.6, 0.9, 1] as [Float?] {
        let options = confidence.map { ["--confidence", "\($0)"] } ?? []
        let expected = try expected(checkpoint, data, confidence: confidence)
        let outcome = try await Command(
          "fedclient",
          ["classify", "--model", model, "--data", data, "--format", "csv", "--threads", "2", "--batch", "4"]
            + options
        ).outcome()
        #expect(outcome.code == 0, "\(outcome)")
        let rows = try rows(outcome.output)
        try #require(rows.count == 30)
        for (row, prediction) in zip(rows, expected) {
          #expect(abs(row.confidence - prediction.confidence) < 1e-4, "\(row)")
          let isNear = confidence.map { abs(prediction.confidence - $0) < 1e-4 } ?? false
          #expect(isNear || row.exit == prediction.depth, "\(row) at \(confidence ?? -1)")
          #expect(isNear || row.name == ["cat", "cow", "dog"][prediction.label], "\(row)")
          used.insert(row.exit)
        }
        #expect(rows.first?.image == "\(images)/cat/0.jpg" && Set(rows.map(\.image)).count == 30)
        if confidence == nil { #expect(rows.allSatisfy { $0.exit == 3 }) }
        if confidence == 0 { #expect(rows.allSatisfy { $0.exit == 1 }) }
        let right = rows.count { $0.image.contains("/\($0.name)/") }
        let line = try #require(outcome.lines.last)
        #expect(line.hasPrefix("30 images; ") && outcome.lines.count == 1, "\(outcome.errors)")
        let accuracy = String(format: "accuracy %.1f %%, majority class 50.0 %%", 100 * Double(right) / 30)
        #expect(line.hasSuffix(accuracy), "\(line)")
      }
      #expect(used == [1, 2, 3], "the exits are not compared")
    }
  }

  private struct Report: Decodable {
    struct Image: Decodable {
      let image, `class`: String
      let label, exit: Int
      let confidence: Float
    }

    struct Exit: Decodable, Equatable { let exit, depth, images: Int }
    struct Broken: Decodable { let path, reason: String }

    struct Summary: Decodable {
      let images: Int
      let fullMultiplyAccumulates: Double
      let multiplyAccumulates, imagesPerSecond: Double
      let confidence: Float?
      let accuracy, majorityBaseline: Double?
      let exits: [Exit]
      let broken: [Broken]
      let labelProblem: String?
    }

    let images: [Image]
    let summary: Summary
  }

  @Test func allFormatsHaveTheSameResults() async throws {
    let checkpoint = Self.model()
    try await withModel(checkpoint) { model, images, folder in
      let data = "folder:\(images)"
      let csv = try rows(
        try await classify(model, data, "--confidence", "0.6", "--format", "csv").output)
      let out = folder.path("results.json")
      let json = try await classify(
        model, data, "--confidence", "0.6", "--format", "json", "--out", out)
      #expect(json.code == 0 && json.output.isEmpty, "\(json)")
      let report = try JSONDecoder().decode(Report.self, from: Data(contentsOf: URL(fileURLWithPath: out)))
      #expect(
        report.images.map { Row(image: $0.image, name: $0.class, confidence: $0.confidence, exit: $0.exit) }
          == csv)
      #expect(report.images.allSatisfy { ["cat", "cow", "dog"][$0.label] == $0.class })
      let lines = try await classify(model, data, "--confidence", "0.6")
      let expected = csv.map {
        "\($0.image): \($0.name) \(String(format: "%.1f", 100 * $0.confidence)) %, exit \($0.exit)\n"
      }
      #expect(lines.output == expected.joined(), "rounding aside, as \(expected)")
      let summary = report.summary
      let counts = (1...3).map { exit in csv.count { $0.exit == exit } }
      #expect(summary.exits == counts.enumerated().map { .init(exit: $0 + 1, depth: $0 + 1, images: $1) })
      let costs = ExitCosts(try #require(checkpoint.classifier), lastBlock: .readout)
      let cost = counts.enumerated().reduce(0.0) {
        $0 + Double($1.element) * costs.cost(stoppingAt: $1.offset)
      }
      #expect(abs(summary.multiplyAccumulates - cost / 30) < 1e-6)
      #expect(summary.fullMultiplyAccumulates == costs.full && summary.images == 30)
      #expect(summary.confidence == 0.6 && summary.broken.isEmpty && summary.imagesPerSecond > 0)
    }
  }

  /// Images of arrays have numbers, and classes without names too.
  @Test func arraysHaveNumbers() async throws {
    try await withModel(Self.model(classes: .count(10))) { model, images, folder in
      let npz = folder.appendingPathComponent("a.npz")
      let labels = (0..<12).map { UInt8($0 % 10) }
      let pixels = Make.noise(12 * 28 * 28, seed: 1)
      let members = [
        ("test_images.npy", Make.npy([12, 28, 28], pixels)), ("test_labels.npy", Make.npy([12], labels)),
      ]
      try Data(Make.zip(members)).write(to: npz)
      let outcome = try await classify(model, "npz:\(npz.path)?skip=2", "--format", "csv")
      #expect(outcome.code == 0, "\(outcome)")
      let rows = try rows(outcome.output)
      #expect(rows.map(\.image) == (2..<12).map(String.init), "numbers in the file")
      #expect(rows.allSatisfy { Int($0.name).map((0..<10).contains) == true })
      #expect(outcome.errors.contains("accuracy"), "\(outcome)")
      // A folder of other classes has no accuracy, and the reason is named.
      let other = try await classify(model, "folder:\(images)")
      #expect(other.code == 0 && !other.errors.contains("accuracy 0"), "\(other)")
      #expect(other.lines.first?.hasPrefix("no accuracy: the images' classes (cat, dog)") == true, "\(other)")
      let plain = try await classify(model, "folder:\(images)?labels=none")
      #expect(plain.lines.count == 1 && !plain.errors.contains("accuracy"), "\(plain)")
    }
  }

  @Test func unreadableImagesAreNamedAndTheRestGoesOn() async throws {
    try await withModel(Self.model()) { model, images, _ in
      let (header, body) = ("\(images)/cat/2.jpg", "\(images)/dog/3.jpg")
      try Data("no image".utf8).write(to: URL(fileURLWithPath: header))
      let whole = try Data(contentsOf: URL(fileURLWithPath: body))
      try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: body))
      let outcome = try await classify(model, "folder:\(images)", "--format", "json", "--threads", "2")
      #expect(outcome.code == 0, "\(outcome)")
      let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
      #expect(report.images.count == 28 && report.summary.images == 28)
      #expect(!report.images.contains { [header, body].contains($0.image) })
      #expect(report.summary.broken.map(\.path) == [header, body])
      #expect(
        outcome.lines.first?.hasPrefix("2 broken files are left out: \(header): ") == true, "\(outcome)")
      for index in 0..<30 {
        let name = "\(images)/\(index % 2 == 0 ? "cat" : "dog")/\(index).jpg"
        let file = try Data(contentsOf: URL(fileURLWithPath: name))
        try file.prefix(file.count / 2).write(to: URL(fileURLWithPath: name))
      }
      let none = try await classify(model, "folder:\(images)", "--format", "json")
      #expect(none.code == 3 && none.lines.count == 1 && none.output.isEmpty, "\(none)")
    }
  }

  /// A name with a line break, a comma or a quote stays in its row.
  @Test func namesStayInTheirRows() async throws {
    try await withModel(Self.model()) { model, images, folder in
      let odd = folder.path("odd")
      try FileManager.default.createDirectory(atPath: odd, withIntermediateDirectories: true)
      try FileManager.default.copyItem(
        atPath: images + "/cat/0.jpg", toPath: odd + "/a\n\"b\",c\u{1B}[2J.jpg")
      let csv = try await classify(model, "folder:\(odd)", "--format", "csv")
      #expect(csv.output.split(separator: "\n").count == 2, "\(csv)")
      #expect(csv.output.contains(#"/a\n""b"",c\u{1B}[2J.jpg","#), "\(csv)")
      let lines = try await classify(model, "folder:\(odd)")
      #expect(lines.output.split(separator: "\n").count == 1 && !lines.output.contains("\u{1B}"), "\(lines)")
      let json = try await classify(model, "folder:\(odd)", "--format", "json")
      let report = try JSONDecoder().decode(Report.self, from: Data(json.output.utf8))
      #expect(report.images.first?.image == odd + #"/a\n"b",c\u{1B}[2J.jpg"#)
    }
  }

  @Test(arguments: [Command.Stream.abandoned, .closed, .full])
  func aReaderThatIsGoneEndsTheWork(stream: Command.Stream) async throws {
    try await withModel(Self.model()) { model, images, _ in
      let outcome = try await Command(
        "fedclient",
        ["classify", "--model", model, "--data", "shapes:2000", "--threads", "1", "--format", "csv"],
        output: stream
      ).outcome()
      #expect(outcome.code == (stream == .abandoned ? 0 : 7), "\(outcome)")
      // A thread writes after 8 batches of 32 images, and then nothing more is computed.
      let last = stream == .abandoned ? "256 images; " : "fedclient: standard output: "
      #expect(outcome.lines.last?.hasPrefix(last) == true, "\(outcome)")
    }
  }

  @Test func aStoppedClassificationLeavesNothing() async throws {
    try await withModel(Self.model()) { model, _, folder in
      let command = try Command(
        "fedclient",
        [
          "classify", "--model", model, "--data", "shapes:2000000?size=16", "--batch", "1", "--threads", "1",
          "--out", folder.path("results"),
        ], environment: ["TERM": "xterm"], columns: 80)
      _ = try await command.errors.line(containing: "of 2000000")
      command.terminate()
      #expect(try await command.outcome().code == 143)
      let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      #expect(Set(left) == ["images", "model"])
    }
  }

  @Test func whatCannotBeClassifiedHasOneLine() async throws {
    try await withModel(Self.model()) { model, images, folder in
      let whole = try Data(contentsOf: URL(fileURLWithPath: model))
      try whole.dropLast(50).write(to: folder.appendingPathComponent("cut"))
      var plan = Plan(encoder: Self.vit)
      plan.method.initialisation = .random
      let stage = plan.stage(3)
      let encoder = EncoderCheckpoint(Snapshot(stage, Storage(stage.model.layout)), plan.augmentation)
      try encoder.encoded().write(to: folder.appendingPathComponent("encoder"))
      try Self.model(weight: 3e38).encoded().write(to: folder.appendingPathComponent("diverged"))
      var other = Safetensors()
      other.add("a", .init(shape: [1], values: [1]))
      try other.encoded().write(to: folder.appendingPathComponent("other"))
      let data = "folder:\(images)"
      for (file, data, code, text) in [
        ("none", data, 3, "none: there is no such file"),
        ("images", data, 3, "images: there is no such file"),
        ("cut", data, 3, "cut: it is cut off"), ("images/cat/0.jpg", data, 3, "it is not a safetensors file"),
        (
          "encoder", data, 3, "it has an encoder without exits; classify needs the export of a classification"
        ),
        ("diverged", data, 3, "diverged: the encoder's outputs are not finite"),
        ("other", data, 3, "other: its metadata do not describe the encoder"),
        ("model", "folder:\(folder.path("nowhere"))", 3, "nowhere: no such directory"),
        ("model", "pictures:1", 3, "pictures"), ("model", "npz:\(model)", 3, "model: "),
      ] as [(String, String, Int32, String)] {
        let outcome = try await classify(folder.path(file), data)
        #expect(outcome.code == code && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.hasPrefix("fedclient: ") && outcome.errors.contains(text), "\(outcome)")
      }
      let out = try await classify(model, data, "--out", folder.path("none/results"))
      #expect(out.code == 7 && out.lines.count == 1, "\(out)")
    }
  }

  @Test(arguments: [
    ["--confidence", "1.1"], ["--confidence", "-0.1"], ["--confidence", "nan"], ["--confidence", "much"],
    ["--format", "xml"], ["--threads", "0"], ["--batch", "0"], ["--batch", "1025"],
  ])
  func aWrongCommandLine(arguments: [String]) async throws {
    let outcome = try await Command(
      "fedclient", ["classify", "--model", "x", "--data", "shapes:10"] + arguments
    ).outcome()
    #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome)")
  }
}
