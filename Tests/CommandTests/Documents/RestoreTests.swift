import Foundation
import TestSupport
import Testing

/// The backup in docs/operating.md, taken from a running server, can be restored.
@Suite(.unhurried) struct RestoreTests {
  private static let rounds = 40

  private let document: Markdown

  init() throws { document = try Markdown("docs/operating.md") }

  /// Runs the first section until two devices train.
  private func begin(_ runner: DocumentRunner) async throws {
    for part in document.parts where part.section == "First run" {
      if case .direction = part { return }
      try await runner.run(part)
    }
  }

  private func wait(for words: String, _ runner: DocumentRunner) async throws {
    try await runner.follow(.init(verb: "await", daemon: "fedserver", words: words))
  }

  /// Returns the final output of the last server.
  private func encoder(_ runner: DocumentRunner) async throws -> String {
    let outcome = try await #require(runner.daemons.last { $0.name == "fedserver" }).command.outcome()
    #expect(outcome.code == 0, "\(outcome)")
    return outcome.output
  }

  @Test func aRestoredJobGoesOnToTheSameEncoder() async throws {
    let blocks = document.blocks.filter { $0.section == "Backup and restore" && $0.language == "sh" }
    try #require(blocks.count >= 2)
    try await withTemporaryFolder { folder in
      let undisturbed = folder.appendingPathComponent("undisturbed")
      let disturbed = folder.appendingPathComponent("disturbed")
      let first = try DocumentRunner(document, in: undisturbed, rounds: Self.rounds)
      let second = try DocumentRunner(document, in: disturbed, rounds: Self.rounds)
      defer { for runner in [first, second] { runner.cutAll() } }
      try await begin(first)
      let expected = try await encoder(first)
      #expect(expected.wholeMatch(of: /encoder [0-9a-f]{64}\n/) != nil, "\(expected)")
      try await begin(second)
      try await wait(for: "stage 1 round 2 is committed", second)
      try await second.run(.block(blocks[0]))
      // The backup is of an earlier moment; the server has progressed before it is lost.
      try await wait(for: "stage 3 round 1 is committed", second)
      try await second.follow(.init(verb: "cut", daemon: "fedserver", words: ""))
      try await second.run(.block(blocks[1]))
      try await wait(for: "continuing after stage", second)
      #expect(try await encoder(second) == expected)
    }
  }
}
