import Foundation
import TestSupport
import Testing

/// `fedsim search-controller`, and plans that name its file.
@Suite(.unhurried) struct SearchControllerTests {
  private func search(
    _ plan: String, _ folder: URL, _ options: String..., out: String = "controller.json"
  ) -> [String] {
    ["search-controller", plan, "--data", "shapes:64", "--examples", "32", "--out", folder.path(out)]
      + options
  }

  private func files(_ folder: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
  }

  /// From the search to a run whose stages the controller ends.
  @Test func aPlanUsesWhatASearchHasFound() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(rounds: 3)
      let found = try await Command("fedsim", search(plan, folder, "--episodes", "4")).outcome()
      #expect(found.code == 0, "\(found)")
      let output = found.output.split(separator: "\n").map(String.init)
      #expect(output[0] == "controller       \(folder.path("controller.json")), for 2 stages and 6 decisions")
      #expect(output.contains { $0.hasPrefix("all rounds       3 + 3 = 6 rounds, last loss ") }, "\(output)")
      #expect(try files(folder) == ["controller.json", "plan.yaml"])

      let text = try String(contentsOfFile: plan, encoding: .utf8).replacing(
        "roundsPerStage: 3", with: "roundsPerStage: 3, stageEnd: {when: controller, model: controller.json}")
      try Data(text.utf8).write(to: folder.appendingPathComponent("controlled.yaml"))
      let run = try await Command.run(
        "fedsim", "run", folder.path("controlled.yaml"), "--clients", "2", "--data", "shapes:64", "--out",
        folder.path("out"))
      #expect(run.code == 0 && run.errors.contains("stage 2"), "\(run)")
      #expect(run.errors.contains(" of at most 3"), "\(run)")

      // The same plan is searched again, on the file that it names.
      let again = try await Command("fedsim", search(folder.path("controlled.yaml"), folder)).outcome()
      #expect(again.code == 7 && again.lines.count == 1, "\(again)")
      #expect(again.errors.contains("controller.json exists; name another --out, or add --overwrite"))
      let over = try await Command(
        "fedsim",
        search(folder.path("controlled.yaml"), folder, "--episodes", "2", "--overwrite", "--json")
      ).outcome()
      #expect(over.code == 0 && over.output.contains("\"threshold\""), "\(over)")
    }
  }

  /// The episodes before a signal are not repeated, and the file is the same.
  @Test func aStoppedSearchGoesOn() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(rounds: 2)
      let whole = try await Command("fedsim", search(plan, folder, "--episodes", "60", out: "a.json"))
        .outcome()
      #expect(whole.code == 0, "\(whole)")
      let words = search(plan, folder, "--episodes", "60", out: "b.json")
      let stopped = try Command("fedsim", words, environment: ["TERM": "xterm"], columns: 80)
      stopped.send(SIGTERM, at: "3 of 62")
      let outcome = try await stopped.outcome()
      #expect(outcome.code == 143 && outcome.errors.contains("the same command continues"), "\(outcome)")
      #expect(try files(folder).contains("b.json.partial"))

      // With other settings the episodes are of no use.
      let other = try await Command("fedsim", words + ["--seed", "9"]).outcome()
      #expect(other.code == 7 && other.lines.count == 1, "\(other)")
      #expect(other.errors.contains("b.json.partial is of a search with other settings"), "\(other)")

      let rest = try await Command("fedsim", words).outcome()
      #expect(rest.code == 0 && rest.errors.contains("episodes of an earlier search"), "\(rest)")
      #expect(try files(folder) == ["a.json", "b.json", "plan.yaml"])
      let (a, b) = (folder.appendingPathComponent("a.json"), folder.appendingPathComponent("b.json"))
      #expect(try Data(contentsOf: a) == Data(contentsOf: b))
    }
  }

  @Test func aFileThatCannotBeUsedHasOneLine() async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(rounds: 2, extra: "")
      let text = try String(contentsOfFile: plan, encoding: .utf8).replacing(
        "roundsPerStage: 2", with: "roundsPerStage: 2, stageEnd: {when: controller, model: c.json}")
      try Data(text.utf8).write(to: URL(fileURLWithPath: plan))
      func expectRejection(_ reason: String) async throws {
        let server = try await Command.run(
          "fedserver", "run", plan, "--listen", "127.0.0.1:0", "--database", folder.path("db"))
        let simulation = try await Command.run(
          "fedsim", "run", plan, "--clients", "2", "--data", "shapes:64", "--out", folder.path("out"))
        #expect(try Set(files(folder)).isSubset(of: ["plan.yaml", "c.json"]))
        for (outcome, command) in [(server, "fedserver"), (simulation, "fedsim")] {
          #expect(outcome.code == 3 && outcome.lines.count == 1 && outcome.output.isEmpty, "\(outcome)")
          let line = "\(command): method.stageEnd.model: \(folder.path("c.json")): \(reason)"
          #expect(outcome.lines.first.map(String.init) == line, "\(outcome)")
        }
      }
      try await expectRejection("there is no such file, or it cannot be read")
      try Data("controller".utf8).write(to: folder.appendingPathComponent("c.json"))
      try await expectRejection("it is not a usable controller: it is not JSON")
      let deeper = try String(contentsOfFile: plan, encoding: .utf8).replacing("depth: 2", with: "depth: 3")
      try Data(deeper.utf8).write(to: folder.appendingPathComponent("deeper.yaml"))
      try FileManager.default.removeItem(atPath: folder.path("c.json"))
      let found = try await Command(
        "fedsim", search(folder.path("deeper.yaml"), folder, "--episodes", "0", out: "c.json")
      ).outcome()
      #expect(found.code == 0, "\(found)")
      try FileManager.default.removeItem(atPath: folder.path("deeper.yaml"))
      try await expectRejection("it is for 3 stages, and the plan has 2")
    }
  }

  @Test(arguments: [
    (["--episodes", "100001"], Int32(64), "--episodes is 0 to 100000"),
    (["--maximum", "0"], 64, "--maximum is 1 to 100000"),
    (["--minimum", "4"], 64, "a stage has at least 4 rounds and at most 2"),
    (["--every", "2"], 64, "a stage has one decision, and two are needed"),
    (["--clients", "20"], 3, "32 images are too few for 20 clients"),
    (["--partition", "odd"], 3, "odd"),
    (["--data", "cifar10:nowhere"], 3, "nowhere"),
    (["--out", "nowhere/c.json"], 7, "nowhere"),
  ])
  func whatCannotBeSearchedIsRejected(options: [String], code: Int32, reason: String) async throws {
    try await withTemporaryFolder { folder in
      let plan = try folder.plan(rounds: 2)
      let outcome = try await Command("fedsim", search(plan, folder) + options).outcome()
      #expect(outcome.code == code && outcome.errors.contains(reason), "\(outcome)")
      #expect(code == 64 || outcome.lines.count == 1, "\(outcome)")
      #expect(try files(folder) == ["plan.yaml"])
    }
  }

  @Test func aTrainingThatDivergesHasItsCode() async throws {
    try await withTemporaryFolder { folder in
      let words = search(try folder.divergingPlan(), folder, "--maximum", "3", "--every", "1")
      let outcome = try await Command("fedsim", words).outcome()
      #expect(outcome.code == 11 && outcome.lines.count == 1, "\(outcome)")
      #expect(outcome.errors.contains("the training of episode 1 diverged"), "\(outcome)")
    }
  }
}
