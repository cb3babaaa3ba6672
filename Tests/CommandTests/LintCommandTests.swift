import Foundation
import TestSupport
import Testing

@Suite(.unhurried) struct LintCommandTests {
  private func plan(_ folder: URL, _ more: String) throws -> String {
    let text = "encoder: {image: 32, patch: 8, width: 16, depth: 2, heads: 2}\n\(more)\n"
    try Data(text.utf8).write(to: folder.appendingPathComponent("plan.yaml"))
    return folder.path("plan.yaml")
  }

  @Test func findingsAreLinesAndNoError() async throws {
    try await withTemporaryFolder { folder in
      let odd = try plan(folder, "method: {temperature: 1e-30}\nlocal: {learningRate: 10}")
      let outcome = try await Command.run("fedsim", "lint", odd)
      #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome)")
      let lines = outcome.output.split(separator: "\n")
      #expect(
        lines.count == 2 && lines[0].hasPrefix("method.temperature: ")
          && lines[1].hasPrefix("local.learningRate: 10"))
      let strict = try await Command("fedsim", ["lint", odd, "--strict"]).outcome()
      #expect(strict.code == 2 && strict.errors.contains("2 found, and --strict is given"), "\(strict)")
      let json = try await Command.run("fedsim", "lint", odd, "--json")
      #expect(json.output.contains("\"rule\" : \"temperature\""), "\(json.output)")
    }
  }

  @Test func dataAreLookedAt() async throws {
    try await withTemporaryFolder { folder in
      let file = try plan(folder, "")
      let alone = try await Command("fedsim", ["lint", file, "--strict"]).outcome()
      #expect(alone.code == 0 && alone.output == "nothing found\n", "\(alone)")
      let outcome = try await Command.run(
        "fedsim", "lint", file, "--data", "shapes:200", "--clients", "2", "--partition", "even")
      #expect(outcome.output.contains("local.batch: 256: 2 of 2 clients have fewer images, the smallest 100"))
      #expect(outcome.output.contains("round.cohort: 4: there are 2 clients"), "\(outcome.output)")
    }
  }

  @Test(arguments: [
    (["--data", "nothing"], 3, "KIND:ARGUMENT"), (["--clients", "0"], 64, "--clients is 1 to 10000"),
    (["--data", "shapes:100", "--partition", "odd"], 3, "accepted: even"),
  ])
  func aMistakeIsOneLine(options: [String], code: Int32, text: String) async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await Command("fedsim", ["lint", try plan(folder, "")] + options).outcome()
      #expect(outcome.code == code && outcome.errors.contains(text), "\(outcome)")
    }
  }

  /// A run says at its start what the lint says, and a check what is odd in the labels.
  @Test func runsAndChecksSayIt() async throws {
    try await withTemporaryFolder { folder in
      let file = try plan(
        folder,
        "method: {roundsPerStage: 1, temperature: 5}\nlocal: {epochs: 1, batch: 32}\nround: {cohort: 2, quorum: 2}"
      )
      let run = try await Command.run(
        "fedsim", "run", file, "--clients", "2", "--data", "shapes:80", "--out", folder.path("out"))
      #expect(run.code == 0, "\(run)")
      #expect(run.errors.contains("warning: method.temperature: 5"), "\(run.errors)")
      let check = try await Command.run("fedclient", "check", "--data", "shapes:1")
      #expect(check.output.contains("warning   there is one image"), "\(check)")
    }
  }
}
