import Commands
import Foundation
import Testing

/// The troubleshooting tables are correct.
@Suite struct TroubleTests {
  /// Returns the matching first cells of a document's tables.
  private func cells(_ path: String, _ pattern: Regex<(Substring, Substring)>) throws -> [String] {
    try Repository.text(path).split(separator: "\n").compactMap {
      $0.prefixMatch(of: pattern).map { String($0.1) }
    }
  }

  @Test(arguments: ["README.md", "docs/operating.md"])
  func everyExitCodeStandsThere(path: String) throws {
    let codes = try cells(path, /\| (\d+) \|/).compactMap { Int32($0) }
    #expect(Set(codes).subtracting([0]) == Set(CommandFailure.Code.allCases.map(\.rawValue)))
  }

  /// Every documented log line is written by the sources; an ellipsis stands for variable text.
  @Test func everyLogLineIsWrittenSomewhere() throws {
    let sources = try Repository.files(under: "Sources").filter { $0.hasSuffix(".swift") }
      .map { try Repository.text($0) }
    let lines = try cells("docs/operating.md", /\| `([^`]+)` \| (?=.*[^|]+\|)/).filter {
      !$0.hasPrefix("strata_")
    }
    #expect(lines.count > 10)
    for line in lines {
      let pieces = line.components(separatedBy: "…").map { $0.trimmingCharacters(in: .whitespaces) }
      // A line is written in one place, or with a reason after a colon.
      let parts = pieces.flatMap { $0.components(separatedBy: ": ") }.filter { !$0.isEmpty }
      for part in parts {
        #expect(sources.contains { $0.contains(part) }, "nothing writes '\(part)' of '\(line)'")
      }
    }
  }
}
