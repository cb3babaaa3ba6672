import Foundation
import TestSupport
import Testing

/// Every option is described in a document about its command.
@Suite(.unhurried) struct OptionTests {
  @Test func everyOptionOfEveryCommandIsDocumented() async throws {
    let texts = try Repository.documents.filter { $0 != "CHANGELOG.md" }.map { try Markdown($0) }
    let code = texts.map { text in
      // Joins lines that end in a backslash.
      let shown = text.blocks.map { $0.text.replacing(/\\\n\s*/, with: " ") }
      return (text.spans.map(\.text) + shown).joined(separator: "\n")
    }
    let options = code.map { Set($0.matches(of: /--[a-z][a-z0-9-]*/).map { String($0.output) }) }
    let missing = try await CommandTree().options.filter { command, option in
      !zip(code, options).contains { $0.contains(command) && $1.contains(option) }
    }
    #expect(missing.isEmpty, "\(missing.map { "\($0.command) \($0.option)" }.joined(separator: "\n"))")
  }
}
