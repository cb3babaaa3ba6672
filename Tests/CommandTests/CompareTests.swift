import Foundation
import TestSupport
import Testing

@Suite(.unhurried) struct CompareTests {
  private func arguments(_ folder: URL, _ more: String...) throws -> [String] {
    [
      "compare", try folder.plan(), "--strategies", "layer-wise,end-to-end", "--clients", "2", "--data",
      "shapes:64", "--test-data", "shapes:30", "--out", folder.path("out"),
    ] + more
  }

  @Test func twoStrategiesAreRunAndCompared() async throws {
    try await withTemporaryFolder { folder in
      let first = try await Command("fedsim", try arguments(folder)).outcome()
      #expect(first.code == 0, "\(first)")
      let text = try String(contentsOfFile: folder.path("out/compare.txt"), encoding: .utf8)
      #expect(first.output.hasPrefix(text) && first.output.contains("compare.html"), "\(first.output)")
      for label in ["layer-wise, simclr", "end-to-end, simclr", "centralised, simclr"] {
        #expect(text.contains("\n\(label)"), "\(text)")
      }
      for name in ["layer-wise-simclr-1/summary.json", "centralised-simclr-1/plan.yaml", "compare.html"] {
        #expect(FileManager.default.fileExists(atPath: folder.path("out/\(name)")), "\(name)")
      }
      let json = try Data(contentsOf: URL(fileURLWithPath: folder.path("out/compare.json")))
      let object = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
      let command = try #require(object["command"] as? String)
      #expect(command.hasPrefix("fedsim compare ") && command.contains("--strategies layer-wise,end-to-end"))

      let second = try await Command("fedsim", try arguments(folder)).outcome()
      #expect(second.code == 7 && second.lines.count == 1, "\(second)")
      #expect(second.errors.contains("--resume") && second.errors.contains(folder.path("out")))

      let resumed = try await Command("fedsim", try arguments(folder, "--resume", "--json")).outcome()
      #expect(resumed.code == 0 && !resumed.errors.contains("round 1/1"), "\(resumed.errors)")
      let again = try #require(
        try JSONSerialization.jsonObject(with: Data(resumed.output.utf8)) as? [String: Any])
      #expect((again["rows"] as? [Any])?.count == 3)
    }
  }

  /// The exit code is that of the failed run, here a client without enough memory.
  @Test func aFailedRun() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan("small.yaml")
      let text = try String(contentsOfFile: plan, encoding: .utf8)
      let small = text.replacing("batch: 16", with: "batch: 16, memory: 100KB")
      try Data(small.utf8).write(to: URL(fileURLWithPath: plan))
      let outcome = try await Command.run(
        "fedsim", "compare", plan, "--strategies", "layer-wise", "--clients", "2", "--data", "shapes:64",
        "--test-data", "shapes:30", "--out", folder.path("out"))
      #expect(outcome.code == 10, "\(outcome)")
      #expect(outcome.output.contains("layer-wise, simclr (failed)"), "\(outcome.output)")
      #expect(outcome.lines.last?.contains("2 runs failed, first layer-wise-simclr-1: ") == true)
    }
  }

  /// BYOL without alignment has no temperature, so that it finishes where SimCLR diverges.
  @Test func aRunThatDivergesIsMarkedAndTheOthersGoOn() async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedsim", "compare", try folder.divergingPlan(), "--strategies", "layer-wise", "--objectives",
        "simclr,byol",
        "--clients", "2", "--data", "shapes:64", "--test-data", "shapes:30", "--out", folder.path("out"))
      #expect(outcome.code == 11, "\(outcome)")
      #expect(outcome.output.contains("\nlayer-wise, simclr (diverged)"), "\(outcome.output)")
      #expect(outcome.output.contains("\nlayer-wise, byol "), "\(outcome.output)")
      #expect(outcome.output.contains("layer-wise-simclr-1: stage 1 round 1 attempt 2 diverged: "))
      let json = try Data(contentsOf: URL(fileURLWithPath: folder.path("out/compare.json")))
      let object = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
      let rows = try #require(object["rows"] as? [[String: Any]])
      #expect(rows.map { $0["diverged"] as? Int } == [1, 1, 0, 0])
      #expect(rows.map { $0["finished"] as? Int } == [0, 0, 1, 1])
    }
  }

  @Test(arguments: [
    ("--strategies", "layer-wise,sideways", "sideways"), ("--strategies", "", "Missing"),
    ("--objectives", "simclr,simclr", "twice"), ("--seeds", "7,-1", "-1"), ("--clients", "0", "--clients"),
    ("--fine-tune", "-1", "--fine-tune"), ("--probe-every", "x", "--probe-every"),
    ("--analyse", "hsic,hsic", "twice"), ("--analyse", "hsic,", "hsic, hsic-pooled, renyi, pca"),
  ])
  func aBadOption(option: String, value: String, word: String) async throws {
    let outcome = try await Command(
      "fedsim",
      [
        "compare", "plan.yaml", "--data", "shapes:64", "--test-data", "shapes:30", "--out", "out",
        "\(option)=\(value)",
      ]
    ).outcome()
    #expect(outcome.code == 64, "\(outcome)")
    let line = outcome.lines.first ?? ""
    #expect(line.contains(option) && line.contains(word), "\(outcome.errors)")
  }

  @Test func badInputIsRejectedBeforeAnythingRuns() async throws {
    try await withTemporaryFolder { folder in
      let out = folder.path("out")
      let few = try await Command("fedsim", try arguments(folder, "--clients=1")).outcome()
      #expect(few.code == 2 && few.lines.count == 1 && few.errors.contains("cohort is 2"), "\(few)")
      let data = try await Command("fedsim", try arguments(folder, "--data=cifar10:\(out)")).outcome()
      #expect(data.code == 3 && data.lines.count == 1 && data.errors.contains(out), "\(data)")
      #expect(!FileManager.default.fileExists(atPath: out))
    }
  }

  @Test func memoryOfAStage() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan()
      let outcome = try await Command.run("fedsim", "memory", plan, "--stage", "2", "--images", "9")
      #expect(outcome.code == 0, "\(outcome)")
      let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Int]
      let result = try #require(object)
      #expect(result["stage"] == 2 && result["batch"] == 9 && result["threads"] == 1)
      #expect((result["peakMemoryBytes"] ?? 0) > (result["plannedMemoryBytes"] ?? .max))
      let beyond = try await Command.run("fedsim", "memory", plan, "--stage", "3")
      #expect(beyond.code == 2 && beyond.lines == ["fedsim: --stage is 3; the plan has stages 1 to 2"])
    }
  }

  @Test func probesNeedLabelledImages() async throws {
    let outcome = try await Command.run(
      "fedsim", "run", "p", "--data", "shapes:16", "--out", "x", "--probe-every", "1")
    #expect(outcome.code == 64 && outcome.lines.first?.contains("--test-data") == true, "\(outcome)")
  }

  @Test func analysesNeedLabelledImages() async throws {
    let arguments = ["run", "p", "--data", "shapes:16", "--out", "x"]
    let alone = try await Command("fedsim", arguments + ["--analyse", "renyi"]).outcome()
    #expect(
      alone.code == 64 && alone.lines.first?.contains("--analyse needs --test-data") == true, "\(alone)")
    let samples = try await Command("fedsim", arguments + ["--analyse-samples", "9"]).outcome()
    #expect(samples.code == 64 && samples.lines.first?.contains("needs --analyse") == true, "\(samples)")
  }
}
