import Foundation
import TestSupport
import Testing

/// `fedsim run --resume` after the process was killed or stopped.
@Suite(.unhurried) struct RunResumeTests {
  private static let kills = 12

  private func run(_ folder: URL, _ plan: String, to out: String, _ more: String...) throws -> Command {
    try Command(
      "fedsim",
      [
        "run", plan, "--clients", "3", "--data", "shapes:96", "--test-data", "shapes:30", "--dropout", "0.3",
        "--out", folder.path(out),
      ] + more)
  }

  private func summary(_ folder: URL, _ out: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: folder.path("\(out)/summary.json")))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  /// The rounds of a summary without their times.
  private func rounds(_ summary: [String: Any]) throws -> NSArray {
    let rounds = try #require(summary["rounds"] as? [[String: Any]])
    return rounds.map { round in round.filter { $0.key != "seconds" } } as NSArray
  }

  /// Clients that decline at random, at most two of three, and a curriculum that decides by the losses.
  private func plan(_ folder: URL, rounds: Int) throws -> String {
    let path = folder.path("resumed.yaml")
    let text = """
      encoder: {image: 16, patch: 4, width: 24, depth: 2, heads: 3}
      heads: {hidden: 32, output: 16}
      method: {roundsPerStage: \(rounds)}
      local: {epochs: 1, batch: 16, learningRate: 1e-2}
      round: {cohort: 3, quorum: 1, attempts: 1000}
      traffic: {codec: top-k, kept: 0.2}

      """
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  @Test func whateverTheMomentTheEncoderIsTheSame() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededNumbers(seed: seed)
    try await withTemporaryFolder { folder in
      let plan = try plan(folder, rounds: 40)
      let whole = try await run(folder, plan, to: "whole").outcome()
      #expect(whole.code == 0, "\(whole)")
      var killed = 0
      while killed < Self.kills {
        let command = try run(folder, plan, to: "cut", "--resume")
        try await Task.sleep(for: .milliseconds(Int.random(in: 20...600, using: &random)))
        command.cut()
        guard try await command.outcome().code == -9 else { break }  // It had finished before.
        killed += 1
      }
      let last = try await run(folder, plan, to: "cut", "--resume").outcome()
      #expect(last.code == 0, "seed \(seed), \(killed) kills: \(last)")
      let (one, other) = (try summary(folder, "whole"), try summary(folder, "cut"))
      #expect(one["encoderDigest"] as? String == other["encoderDigest"] as? String, "seed \(seed)")
      #expect(try rounds(one) == rounds(other), "seed \(seed)")
      #expect(one["probe"] as? NSDictionary == other["probe"] as? NSDictionary, "seed \(seed)")
    }
  }

  @Test func aStoppedRunSaysHowItGoesOn() async throws {
    try await withTemporaryFolder { folder in
      let plan = try plan(folder, rounds: 100_000)
      let long = try run(folder, plan, to: "mine")
      _ = try await long.errors.line(containing: "stage 1/2 round 2/100000  loss ")
      kill(long.process, SIGTERM)
      let outcome = try await long.outcome()
      #expect(outcome.code == 143 && outcome.output.isEmpty, "\(outcome)")
      #expect(outcome.lines.last == "fedsim: stopped; the same command with --resume continues")

      let again = try await run(folder, plan, to: "mine").outcome()
      #expect(again.code == 7 && again.lines.count == 1 && again.errors.contains("--resume"), "\(again)")

      let more = try run(folder, plan, to: "mine", "--resume")
      let line = try await more.errors.line(containing: "resumed after ")
      #expect(line.wholeMatch(of: /resumed after \d+ of 200000 rounds/) != nil, "\(line)")
      kill(more.process, SIGKILL)
      _ = try await more.outcome()

      let changed = try await run(
        folder, try self.plan(folder, rounds: 99), to: "mine", "--resume", "--clients=4"
      )
      .outcome()
      #expect(changed.code == 7, "\(changed)")
      #expect(
        changed.lines == [
          "fedsim: \(folder.path("mine")) holds a run with other settings: method.roundsPerStage: 100000 there, 99 here; --clients: 3 there, 4 here"
        ])
    }
  }

  @Test func aFinishedRunIsNotRepeated() async throws {
    try await withTemporaryFolder { folder in
      let plan = try plan(folder, rounds: 2)
      let first = try await run(folder, plan, to: "mine", "--resume").outcome()
      #expect(first.code == 0, "\(first)")
      let second = try await run(folder, plan, to: "mine", "--resume").outcome()
      #expect(second.code == 0 && second.output == first.output, "\(second)")
      // Another evaluation of the finished encoder trains nothing.
      let third = try await run(folder, plan, to: "mine", "--resume", "--probe-every=1").outcome()
      #expect(third.code == 0 && !third.errors.contains("loss "), "\(third)")
      #expect(try summary(folder, "mine")["probes"] != nil)
      #expect(third.output.contains(", resumed once\n"), "\(third.output)")
    }
  }

  @Test func resumeAndOverwriteExcludeEachOther() async throws {
    try await withTemporaryFolder { folder in
      let outcome = try await run(folder, "p.yaml", to: "mine", "--resume", "--overwrite").outcome()
      #expect(outcome.code == 64 && outcome.lines.first?.contains("exclude each other") == true, "\(outcome)")
    }
  }
}
