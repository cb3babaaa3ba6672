import Foundation
import TestSupport
import Testing

/// Every command in a document works as shown.
@Suite(.unhurried) struct DocumentTests {
  private static let languages: Set = ["sh", "yaml", "json", "text", "python", "promql", "swift"]

  @Test(arguments: Repository.documents)
  func itsCommandsRunInTheirOrder(path: String) async throws {
    let document = try Markdown(path)
    guard document.blocks.contains(where: { $0.language == "sh" }) else { return }
    try await withTemporaryFolder { try await DocumentRunner(document, in: $0).run() }
  }

  /// Includes commands that are not run, and those within sentences.
  @Test func itsCommandsAndOptionsExist() async throws {
    let tree = try await CommandTree()
    for document in try Repository.documents.map({ try Markdown($0) }) {
      for statement in Self.statements(of: document) {
        for words in statement.commands where CommandTree.executables.contains(words[0]) {
          let problem = tree.problem(with: words)
          #expect(problem == nil, "\(document.path):\(statement.line): \(statement)")
        }
      }
      for span in document.spans {
        let place = "\(document.path):\(span.line): \(span.text)"
        for words in ShellBlock.commands(span.text) {
          if CommandTree.executables.contains(words[0]) {
            let problem = tree.problem(with: words, isPart: true)
            #expect(problem == nil, "\(place)")
          } else if words[0].hasPrefix("--"), !UnrunCommand.foreignOptions.contains(words[0]) {
            let isThere = tree.hasOption(words[0])
            #expect(isThere, "\(place)")
          }
        }
      }
    }
  }

  /// The commands in the Makefile and the service units.
  @Test func theCommandsOfRecipesAndUnitsExist() async throws {
    let tree = try await CommandTree()
    let makefile = try Repository.text("Makefile").replacing("\\\n", with: " ")
    var lines = makefile.matches(of: /\.build\/release\/(.+)/).map { String($0.1) }
    for unit in ["deploy/fedserver.service", "deploy/fedclient.service"] {
      lines += try Repository.text(unit).matches(of: /ExecStart=\/usr\/bin\/(.+?) \$[A-Z_]+\n/).map {
        String($0.1)
      }
    }
    #expect(lines.count >= 4)
    for line in lines {
      for words in ShellBlock.commands(line) { #expect(tree.problem(with: words) == nil, "\(line)") }
    }
  }

  /// A block without a language would never be run, nor would a command in a block of output.
  @Test(arguments: Repository.documents)
  func itsBlocksSayWhatTheyHold(path: String) throws {
    for block in try Markdown(path).blocks {
      #expect(Self.languages.contains(block.language), "\(path):\(block.line)")
      guard block.language == "text" else { continue }
      let command = block.text.firstMatch(of: /(?m)^(?:\$ |sudo |make |fed(?:server|client|sim) (?!.*:)).*/)
      #expect(command == nil, "\(path):\(block.line): \(command?.0 ?? "")")
    }
  }

  /// An entry for a command that no document shows would hide a later one.
  @Test func theRowsOfTheTablesAreOfSomething() throws {
    let statements = try Repository.documents.flatMap { Self.statements(of: try Markdown($0)) }
    for row in UnrunCommand.all {
      #expect(statements.contains { row.fits($0) }, "no document shows \(row.beginning)")
    }
    for rule in Substitutions(folder: URL(fileURLWithPath: "/")).table(code: "") {
      #expect(
        statements.contains { $0.text.range(of: rule.pattern, options: .regularExpression) != nil },
        "no document shows \(rule.pattern): \(rule.reason)")
    }
    let spans = try Repository.documents.flatMap { try Markdown($0).spans.map(\.text) }
    for option in UnrunCommand.foreignOptions {
      #expect(spans.contains { $0.hasPrefix(option) }, "no document names \(option)")
    }
  }

  private static func statements(of document: Markdown) -> [ShellBlock.Statement] {
    document.blocks.filter { $0.language == "sh" }
      .flatMap { ShellBlock.statements($0.text, after: $0.line) }
  }
}
