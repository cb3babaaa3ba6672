import Foundation
import TestSupport
import Testing

/// `fedsim sweeps`, `fedclient check` on rows, and the commands that plans of exact steps do not have.
@Suite(.unhurried) struct SweepsTests {
  @Test func aPageATableAndFilesAreWritten() async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command.run(
        "fedsim", "sweeps", "--data", "regression:40?spread=4", "--depths", "1,2,5", "--sweeps", "3",
        "--starts", "2", "--out", folder.path("out"))
      #expect(outcome.code == 0, "\(outcome)")
      #expect(outcome.output.contains("40 rows, 8 inputs, 5 targets; width 20, ascending, orthogonal start"))
      #expect(outcome.output.contains("out/sweeps.html"), "\(outcome.output)")
      for name in ["sweeps.html", "sweeps.json", "sweeps.csv"] {
        #expect(FileManager.default.fileExists(atPath: folder.path("out/\(name)")), "\(name)")
      }
    }
  }

  @Test(arguments: [
    (["--depths", "1,1"], 64, "'1' is given twice"),
    (["--depths", "0"], 64, "'0' is not a whole number of 1 to 256"),
    (["--width", "0"], 64, "--width is 1 to 8192"), (["--order", "up"], 64, "'up' is invalid"),
    (["--data", "shapes:9"], 3, "the data are images, and the encoder takes rows"),
    (["--data", "rows:nothing.csv"], 3, "nothing.csv: cannot be read"),
  ])
  func wrongOptionsAreOneLine(options: [String], code: Int32, text: String) async throws {
    try await withTemporaryFolder { folder in
      let data = options[0] == "--data" ? [] : ["--data", "regression:10"]
      let outcome = try await Command("fedsim", ["sweeps", "--out", folder.path("out")] + data + options)
        .outcome()
      #expect(outcome.code == code && outcome.errors.contains(text), "\(outcome)")
    }
  }

  private func plan(_ folder: URL) throws -> String {
    let text = "encoder: {family: linear, features: 2, outputs: 1, width: 3, depth: 2}\nround: {cohort: 2}\n"
    try Data(text.utf8).write(to: folder.appendingPathComponent("plan.yaml"))
    return folder.path("plan.yaml")
  }

  @Test func rowsAreChecked() async throws {
    try await withTemporaryFolder { folder in
      try Data("age,income,price\n1,10,3\n3,30.5,-3\n".utf8).write(
        to: folder.appendingPathComponent("x.csv"))
      let outcome = try await Command.run(
        "fedclient", "check", "--data", "rows:\(folder.path("x.csv"))", "--plan", try plan(folder))
      #expect(outcome.code == 0, "\(outcome)")
      for line in [
        "rows      2\n", "inputs    2\n", "          age     1 to 3, mean 2, deviation 1\n",
        "          income  10 to 30.5, mean 20.25, deviation 10.25\n",
        "targets   1\n          price  -3 to 3, mean 0, deviation 3\n", "     2       1      2",
      ] {
        #expect(outcome.output.contains(line), "\(line)\n\(outcome.output)")
      }
      let json = try await Command.run(
        "fedclient", "check", "--data", "rows:\(folder.path("x.csv"))?targets=2", "--json")
      #expect(json.output.contains("\"rows\" : 2") && json.output.contains("\"deviation\""), "\(json.output)")
      let sheet = try await Command.run(
        "fedclient", "check", "--data", "rows:\(folder.path("x.csv"))", "--sheet", folder.path("sheet.png"))
      #expect(sheet.code == 64 && sheet.errors.contains("--sheet shows images"), "\(sheet)")
      let targets = try await Command.run(
        "fedclient", "check", "--data", "rows:\(folder.path("x.csv"))?targets=2&inputs=age", "--plan",
        folder.path("plan.yaml"))
      #expect(targets.code == 3 && targets.lines.count == 1, "\(targets)")
      #expect(targets.errors.contains("rows of 1 input, and the encoder takes rows of 2"), "\(targets)")
    }
  }

  @Test(arguments: [
    ["account"], ["traffic"], ["memory", "--stage", "1"],
    ["compare", "--data", "regression:9", "--test-data", "regression:9", "--out", "out"],
  ])
  func commandsThatCompareStrategiesRejectExactSteps(words: [String]) async throws {
    try await withTemporaryFolder { folder in
      let words = [words[0], try plan(folder)] + words.dropFirst()
      let outcome = try await Command("fedsim", words).outcome()
      #expect(outcome.code == 2 && outcome.lines.count == 1, "\(outcome)")
      #expect(outcome.errors.contains("method.objective: is regression, which has exact steps"), "\(outcome)")
    }
  }
}
