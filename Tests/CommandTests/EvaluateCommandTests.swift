import Engine
import Foundation
import TestSupport
import Testing

@Suite(.unhurried) struct EvaluateCommandTests {
  /// Runs a federation whose encoder is then evaluated.
  private func withRun(
    _ extra: [String] = [], _ body: (_ encoder: String, _ folder: URL) async throws -> Void
  ) async throws {
    try await withTemporaryFolder { folder in
      let run = try await Command(
        "fedsim",
        [
          "run", try folder.plan(), "--clients", "2", "--data", "shapes:64", "--test-data", "shapes:50",
          "--out", folder.path("out"),
        ] + extra
      ).outcome()
      #expect(run.code == 0, "\(run)")
      try await body(folder.path("out/encoder.safetensors"), folder)
    }
  }

  private func evaluate(_ encoder: String, _ extra: String...) async throws -> Command.Outcome {
    try await Command(
      "fedsim", ["evaluate", encoder, "--train", "shapes:64", "--test", "shapes:50"] + extra
    ).outcome()
  }

  private func report(_ outcome: Command.Outcome) throws -> [String: Double] {
    try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Double])
  }

  private func expectRejection(
    _ outcome: Command.Outcome, _ texts: String..., at location: SourceLocation = #_sourceLocation
  ) {
    #expect(outcome.code == 3, "\(outcome)", sourceLocation: location)
    #expect(outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)", sourceLocation: location)
    let line = outcome.lines.first ?? ""
    #expect(line.hasPrefix("fedsim: "), "\(line)", sourceLocation: location)
    for text in texts { #expect(line.contains(text), "\(line)", sourceLocation: location) }
  }

  /// With the run's images and the plan's seed, the figures equal those of the run.
  @Test func itRepeatsTheEvaluationOfARun() async throws {
    try await withRun(["--fine-tune", "2"]) { encoder, folder in
      let summary = try Data(contentsOf: folder.appendingPathComponent("out/summary.json"))
      let object = try #require(try JSONSerialization.jsonObject(with: summary) as? [String: Any])
      let expected = try #require((object["evaluation"] as? [String: [String: Double]])?["trained"])
      for threads in ["1", "2"] {
        let outcome = try await evaluate(
          encoder, "--fine-tune", "2", "--seed", "1", "--threads", threads, "--json")
        #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
        let report = try report(outcome)
        for name in ["linearProbe", "nearestNeighbours", "fineTuned"] {
          #expect(report[name] == expected[name], "\(name), \(threads) threads")
        }
        #expect(report["trainImages"] == 64 && report["testImages"] == 50)
      }
    }
  }

  @Test func withoutFineTuningThereIsNoFigureForIt() async throws {
    try await withRun { encoder, _ in
      let json = try await evaluate(encoder, "--json")
      #expect(json.code == 0 && json.errors.isEmpty, "\(json)")
      #expect(json.output.contains("linearProbe") && !json.output.contains("fineTuned"))
      let table = try await evaluate(encoder)
      for name in ["linear probe", "k-NN", "64 to fit, 50 to test"] { #expect(table.output.contains(name)) }
      #expect(!table.output.contains("fine-tuned") && table.errors.isEmpty, "\(table)")
      let tuned = try await evaluate(encoder, "--fine-tune", "1")
      #expect(tuned.output.firstMatch(of: /fine-tuned +[0-9.]+ %, 1 epoch\n/) != nil, "\(tuned)")
    }
  }

  /// Generated features are of the blocks of the graph, with much noise that a mean over neighbours removes.
  @Test func featuresOfNodesAreEvaluatedWithoutAnEncoder() async throws {
    func features(_ arguments: String...) async throws -> Command.Outcome {
      try await Command("fedsim", ["evaluate", "--features", "--train", "sbm:600"] + arguments).outcome()
    }
    var reports: [[String: Double]] = []
    for hops in ["0", "2"] {
      let outcome = try await features("--test", "sbm:600", "--hops", hops, "--json")
      #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
      reports.append(try report(outcome))
    }
    for name in ["linearProbe", "nearestNeighbours", "logisticRegression", "unstandardised"] {
      let (raw, propagated) = (try #require(reports[0][name]), try #require(reports[1][name]))
      #expect(propagated > raw + 0.05, "\(name): \(raw) and \(propagated)")
    }
    let (raw, propagated) = (try #require(reports[0]["smoothness"]), try #require(reports[1]["smoothness"]))
    #expect(propagated < raw && raw < 2, "\(raw) and \(propagated)")
    let table = try await features("--test", "sbm:600", "--propagation", "lgcn")
    #expect(table.output.contains(/logistic +[0-9.]+ %, [0-9.]+ % without standardisation\n/), "\(table)")

    expectRejection(try await features("--test", "shapes:50"), "the data are images")
    let images = try await Command(
      "fedsim", ["evaluate", "--features", "--train", "shapes:50", "--test", "shapes:50"]
    ).outcome()
    expectRejection(images, "shapes:50: --features is for the nodes of graphs")
    for arguments in [["encoder.safetensors", "--features"], ["encoder.safetensors", "--hops", "2"], []] {
      let outcome = try await Command(
        "fedsim", ["evaluate", "--train", "sbm:600", "--test", "sbm:600"] + arguments
      ).outcome()
      #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome)")
    }
  }

  @Test func aFileThatIsNoEncoderIsRejected() async throws {
    try await withRun { encoder, folder in
      expectRejection(try await evaluate(folder.path("none")), folder.path("none"), "no such file")
      expectRejection(try await evaluate(folder.path), folder.path)
      expectRejection(try await evaluate(folder.path("out/summary.json")), "out/summary.json: ")
      let data = try Data(contentsOf: URL(fileURLWithPath: encoder))
      let cut = folder.appendingPathComponent("cut")
      try data.dropLast(100).write(to: cut)
      expectRejection(try await evaluate(cut.path), "\(cut.path): ", "it is cut off: ")
      expectRejection(try await evaluate(encoder, "--heads", "4"), encoder, "heads is 3", "not 4")
    }
  }

  /// Weights that are not finite, and weights with outputs that are not finite.
  @Test(arguments: [
    (Float.nan, "blocks.0.mlp.fc1.weight contains a number that is not finite"), (3e38, "diverged"),
  ])
  func anEncoderThatDivergedIsRejected(weight: Float, reason: String) async throws {
    try await withRun { encoder, folder in
      let data = try Data(contentsOf: URL(fileURLWithPath: encoder))
      let file = try Safetensors(parsing: data)
      var broken = Safetensors()
      broken.metadata = file.metadata
      for (name, tensor) in file.tensors.sorted(by: { $0.key < $1.key }) {
        let values = name == "blocks.0.mlp.fc1.weight" ? tensor.values.map { _ in weight } : tensor.values
        broken.add(name, Safetensors.Tensor(shape: tensor.shape, values: values))
      }
      let path = folder.path("broken.safetensors")
      try broken.encoded().write(to: URL(fileURLWithPath: path))
      for more in [[], ["--fine-tune", "1"], ["--json"]] {
        let outcome = try await Command(
          "fedsim", ["evaluate", path, "--train", "shapes:64", "--test", "shapes:50"] + more
        ).outcome()
        expectRejection(outcome, "\(path): ", reason)
      }
    }
  }

  @Test func aFileOfOthersNeedsThreeOptions() async throws {
    try await withRun { encoder, folder in
      var file = try Safetensors(parsing: Data(contentsOf: URL(fileURLWithPath: encoder)))
      file.metadata = [:]
      let other = folder.appendingPathComponent("other.safetensors")
      try file.encoded().write(to: other)
      expectRejection(
        try await evaluate(other.path), other.path, "strata.encoder is missing",
        "give --image, --patch, --heads")
      expectRejection(
        try await evaluate(other.path, "--image", "16", "--heads", "3"), "strata.encoder", "give --patch")
      expectRejection(
        try await evaluate(other.path, "--image", "16", "--heads", "3", "--patch", "8"),
        "patches are 4 x 4 by its tensors, not 8 x 8")
      let given = try await evaluate(
        other.path, "--image", "16", "--heads", "3", "--patch", "4", "--json")
      let own = try await evaluate(encoder, "--json")
      #expect(given.code == 0, "\(given)")
      func figures(_ outcome: Command.Outcome) throws -> [Double?] {
        let report = try report(outcome)
        return [report["linearProbe"], report["nearestNeighbours"]]
      }
      #expect(try figures(given) == figures(own), "the plan's normalisation is the default's")
    }
  }

  @Test func imagesThatCannotBeReadAreRejected() async throws {
    try await withRun { encoder, folder in
      let none = folder.path("none")
      for (train, test, text) in [
        ("pictures:1", "shapes:50", "'pictures:1'"), ("shapes:64", "cifar10:\(none)", none),
      ] {
        let outcome = try await Command.run("fedsim", "evaluate", encoder, "--train", train, "--test", test)
        expectRejection(outcome)
        #expect(outcome.errors.contains(text), "\(outcome)")
      }
    }
  }

  @Test func imagesOfAnotherSizeAndColourAreFitted() async throws {
    try await withRun { encoder, _ in
      let outcome = try await Command.run(
        "fedsim", "evaluate", encoder, "--train", "shapes:64?size=48", "--test", "shapes:50?channels=1")
      #expect(outcome.code == 0, "\(outcome)")
    }
  }

  @Test(arguments: [
    ["evaluate", "x", "--train", "shapes:64"], ["evaluate", "--train", "shapes:64", "--test", "shapes:64"],
    ["evaluate", "x", "--train", "shapes:64", "--test", "shapes:64", "--fine-tune", "-1"],
    ["evaluate", "x", "--train", "shapes:64", "--test", "shapes:64", "--threads", "0"],
    ["evaluate", "x", "--train", "shapes:64", "--test", "shapes:64", "--seed", "-1"],
    ["run", "x", "--data", "shapes:64", "--out", "x", "--fine-tune", "1"],
    ["run", "x", "--data", "shapes:64", "--test-data", "shapes:64", "--out", "x", "--fine-tune", "100000"],
  ])
  func aWrongCommandLine(arguments: [String]) async throws {
    let outcome = try await Command("fedsim", arguments).outcome()
    #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome)")
  }
}
