import Foundation
import TestSupport
import Testing

/// Commands that a signal stops before they have a result.
@Suite(.unhurried) struct StoppedCommandTests {
  private static let signals = [(SIGINT, Int32(130)), (SIGTERM, Int32(143)), (SIGHUP, Int32(129))]

  private func stop(_ command: Command, _ signal: Int32) async throws -> Command.Outcome {
    kill(command.process, signal)
    return try await command.outcome()
  }

  /// Returns the last row on a terminal after all redrawing.
  private func last(_ outcome: Command.Outcome) -> String? {
    outcome.errors.replacing("\r\n", with: "\n").split(separator: "\n").last.map {
      String($0.split(separator: "\r").last ?? "")
    }
  }

  @Test(arguments: signals) func aStoppedRunKeepsItsRounds(signal: Int32, code: Int32) async throws {
    try await withTemporaryFolder { folder in
      let run = ["--clients", "2", "--data", "shapes:64", "--out", folder.path("runs/mine")]
      let long = try Command("fedsim", ["run", try folder.plan(rounds: 100_000)] + run)
      _ = try await long.errors.line(containing: "stage 1/2 round 1/100000  loss ")
      let outcome = try await stop(long, signal)
      #expect(outcome.code == code && outcome.output.isEmpty, "\(outcome)")
      #expect(outcome.lines.last == "fedsim: stopped; the same command with --resume continues")
      #expect(FileManager.default.fileExists(atPath: folder.path("runs/mine/strata.sqlite")))
      let again = try await Command("fedsim", ["run", try folder.plan(), "--overwrite"] + run).outcome()
      #expect(again.code == 0, "\(again)")
    }
  }

  @Test(arguments: signals) func aStoppedCheckTakesItsBarAway(signal: Int32, code: Int32) async throws {
    let check = try Command(
      "fedsim", ["check", "--seeds", "1..1000000"], environment: ["TERM": "xterm"], columns: 80)
    _ = try await check.errors.line(containing: "of 1000000, 0 failed")
    let outcome = try await stop(check, signal)
    #expect(outcome.code == code && outcome.output.isEmpty, "\(outcome)")
    #expect(last(outcome) == "fedsim: stopped", "\(outcome.errors.suffix(200))")
  }

  @Test func aStoppedLookAtImagesTakesItsBarAway() async throws {
    try await withTemporaryFolder { folder in
      let plan = folder.path("large.yaml")
      let text = "encoder: {image: 32, patch: 4, width: 192, depth: 12, heads: 3}\nlocal: {batch: 128}\n"
      try Data(text.utf8).write(to: URL(fileURLWithPath: plan))
      let check = try Command(
        "fedclient", ["check", "--data", "shapes:256", "--plan", plan], environment: ["TERM": "xterm"],
        columns: 80)
      _ = try await check.errors.line(containing: "timing stage")
      let outcome = try await stop(check, SIGTERM)
      #expect(outcome.code == 143 && outcome.output.isEmpty, "\(outcome)")
      #expect(last(outcome) == "fedclient: stopped", "\(outcome.errors.suffix(200))")
    }
  }

  @Test func aStoppedComparisonGoesOnLater() async throws {
    try await withTemporaryFolder { folder in
      let words = [
        "--strategies", "layer-wise", "--clients", "2", "--data", "shapes:64", "--test-data", "shapes:30",
        "--out",
        folder.path("out"),
      ]
      let long = try Command("fedsim", ["compare", try folder.plan(rounds: 100_000)] + words)
      _ = try await long.errors.line(containing: "stage 1/2 round 1/100000  loss ")
      let outcome = try await stop(long, SIGTERM)
      #expect(outcome.code == 143 && outcome.output.isEmpty, "\(outcome)")
      #expect(outcome.lines.last == "fedsim: stopped; the same command with --resume continues")
      let other = try await Command("fedsim", ["compare", try folder.plan()] + words + ["--resume"]).outcome()
      #expect(other.code == 7 && other.lines.count == 1, "\(other)")
      #expect(other.errors.contains("method.roundsPerStage: 100000 there, 1 here"), "\(other)")
      let again = try Command(
        "fedsim", ["compare", try folder.plan(rounds: 100_000)] + words + ["--resume"])
      let line = try await again.errors.line(containing: "resumed after ")
      #expect(line.hasSuffix(" of 200000 rounds"), "\(line)")
      #expect(try await stop(again, SIGTERM).code == 143)
    }
  }
}
