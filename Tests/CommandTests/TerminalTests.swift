import Foundation
import TestSupport
import Testing

/// Progress on a terminal and in a file.
@Suite(.unhurried) struct TerminalTests {
  private let words = ["check", "--seeds", "1..60"]

  /// Returns the rows of a terminal while a command writes to it, each block as drawn.
  private func drawn(_ text: String) -> [String] {
    text.split(whereSeparator: \.isNewline).map {
      String($0).replacing("\u{1B}[1A", with: "").replacing("\u{1B}[2K", with: "")
    }
  }

  /// Returns whether a text has no control sequences or bars; on a slow machine it may have progress lines.
  private func isPlain(_ text: String) -> Bool { !text.contains { "\u{1B}█░".contains($0) } }

  @Test(arguments: [80, 40, 12]) func aBarFitsItsTerminal(columns: Int) async throws {
    let command = try Command("fedsim", words, environment: ["TERM": "xterm"], columns: columns)
    let outcome = try await command.outcome()
    #expect(outcome.code == 0 && outcome.output.hasPrefix("60 seeds, "), "\(outcome)")
    let rows = drawn(outcome.errors)
    #expect(rows.contains { $0.contains("█") || $0.contains("░") }, "\(outcome.errors)")
    for row in rows { #expect(row.count < columns, "\(row)") }
    // As many rows are erased as were drawn, and none is coloured.
    let erased =
      outcome.errors.split(separator: "\u{1B}[1A\u{1B}[2K", omittingEmptySubsequences: false).count - 1
    #expect(erased == rows.count { !$0.isEmpty }, "\(outcome.errors)")
    #expect(outcome.errors.firstMatch(of: /\u{1B}\[[0-9;]*m/) == nil)
  }

  /// The steps of each training in a run.
  @Test func stepsAreCountedOnANarrowTerminal() async throws {
    try await withTemporaryFolder { folder in
      let run = try Command(
        "fedsim",
        [
          "run", try folder.plan(rounds: 3), "--clients", "2", "--data", "shapes:640", "--out",
          folder.path("out"),
        ], environment: ["TERM": "xterm"], columns: 40)
      let outcome = try await run.outcome()
      #expect(outcome.code == 0, "\(outcome)")
      let trainings = drawn(outcome.errors).filter { $0.hasPrefix("  client-") }
      #expect(!trainings.isEmpty)
      for row in trainings {
        #expect(row.wholeMatch(of: #/  client-\d+ [█░]+ step \d+ of 20/#) != nil && row.count < 40, "\(row)")
      }
    }
  }

  @Test func aDumbTerminalGetsNoBar() async throws {
    let command = try Command("fedsim", words, environment: ["TERM": "dumb"], columns: 80)
    let outcome = try await command.outcome()
    #expect(outcome.code == 0 && isPlain(outcome.errors), "\(outcome)")
  }

  @Test func withoutATerminalThereAreLinesAlone() async throws {
    let outcome = try await Command("fedsim", words + ["--json"]).outcome()
    #expect(outcome.code == 0 && isPlain(outcome.errors), "\(outcome)")
    let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
    #expect(object?["seeds"] as? Int == 60 && (object?["failures"] as? [Any])?.isEmpty == true)
  }
}
