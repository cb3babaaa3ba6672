import Federation
import Foundation
import Testing

/// Runs the commands of a document block by block, like a reader: in a temporary folder that is also the home, with the
/// built commands first in the path. Daemons run in the background; the next command waits until they are ready.
final class DocumentRunner {
  struct Daemon {
    /// The name of the executable.
    let name: String
    let statement: ShellBlock.Statement
    let command: Command
  }

  let document: Markdown
  let folder: URL
  let substitutions: Substitutions
  private let rounds: Int
  var daemons: [Daemon] = []
  /// The last output of `fedserver enroll`.
  private var code = ""
  /// The output of the last statement, if the document shows it.
  private var output: String?

  /// Copies images and plans into the folder.
  ///
  /// - Parameter rounds: the rounds per stage in plans that are trained.
  init(_ document: Markdown, in folder: URL, rounds: Int = 2) throws {
    self.rounds = rounds
    (self.document, self.folder, substitutions) = (document, folder, Substitutions(folder: folder))
    try DocumentData.write(under: folder)
    let deploy = folder.appendingPathComponent("deploy")
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("etc/default"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(at: Repository.root.appendingPathComponent("deploy"), to: deploy)
    // The plan of a reader at this point, unless the document shows a complete one.
    try FileManager.default.copyItem(
      at: deploy.appendingPathComponent("plans/demo.yaml"), to: folder.appendingPathComponent("plan.yaml"))
  }

  /// Runs the whole document, and then ends its daemons.
  func run() async throws {
    do {
      for part in document.parts { try await run(part) }
    } catch {
      cutAll()
      throw error
    }
    for daemon in daemons where !daemon.command.errors.isClosed { daemon.command.terminate() }
    for daemon in daemons { expectGoodEnd(try await daemon.command.outcome(), daemon.statement) }
  }

  func run(_ part: Markdown.Part) async throws {
    switch part {
    case .direction(let direction): try await follow(direction)
    case .block(let block) where block.language == "sh":
      for statement in ShellBlock.statements(block.text, after: block.line) { try await run(statement) }
    case .block(let block) where block.language == "yaml" && Plan.isWhole(block.text):
      try Data(block.text.utf8).write(to: folder.appendingPathComponent("plan.yaml"))
    case .block(let block):
      if block.language == "text", let output { expect(output, shownIn: block) }
      output = nil
    }
  }

  private func run(_ statement: ShellBlock.Statement) async throws {
    output = nil
    guard !UnrunCommand.all.contains(where: { $0.fits(statement) }) else { return }
    let words = statement.commands.first ?? []
    if words.starts(with: ["fedserver", "run"]) || words.starts(with: ["fedclient", "run"]) {
      try cutPlans(words)
      return try await start(words[0], as: statement, try shell("exec " + shown(statement)))
    }
    if words.first == "systemctl" { return try await control(words, statement) }
    if ["run", "compare", "check"].contains(words.dropFirst().first) { try cutPlans(words) }
    let outcome = try await shell(shown(statement)).outcome()
    try #require(outcome.code == 0, "\(place(statement)): \(outcome)")
    if words.starts(with: ["fedserver", "enroll"]) {
      code = outcome.output.trimmingCharacters(in: .newlines)
    }
    // Computed output is the same on every machine.
    if words.starts(with: ["fedsim", "account"]) || words.starts(with: ["fedsim", "traffic"]) {
      output = outcome.output
    }
  }

  /// Returns the text for the shell. Daemons are not put into the background by the shell, which would lose track of
  /// them.
  func shown(_ statement: ShellBlock.Statement) -> String {
    substitutions.applied(
      to: statement.text.replacingOccurrences(of: " &$", with: "", options: .regularExpression), code: code)
  }

  func cutPlans(_ words: [String]) throws {
    for word in words where word.hasSuffix(".yaml") {
      let path = substitutions.applied(to: word)
      let file = path.hasPrefix("/") ? URL(fileURLWithPath: path) : folder.appendingPathComponent(path)
      #expect(try Plan.cut(file, rounds: rounds), "\(document.path): \(word) is no plan")
    }
  }

  /// Starts a shell in the folder.
  func shell(_ text: String, environment: [String: String] = [:]) throws -> Command {
    var environment = environment
    environment["HOME"] = folder.path
    environment["PATH"] = Command.folder.path + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/bin")
    return try Command("/bin/sh", ["-c", "cd \"$0\"\n\(text)", folder.path], environment: environment)
  }

  // MARK: - Expectations

  func place(_ statement: ShellBlock.Statement) -> String {
    "\(document.path):\(statement.line): \(statement)"
  }

  func expectGoodEnd(_ outcome: Command.Outcome, _ statement: ShellBlock.Statement) {
    #expect(outcome.code == 0, "\(place(statement)): \(outcome)")
  }

  /// Compares line by line; a line with an ellipsis stands for any lines.
  private func expect(_ output: String, shownIn block: Markdown.Block) {
    var lines = output.split(separator: "\n")[...]
    var isElided = false
    for shown in block.text.split(separator: "\n") {
      if shown == "…" {
        isElided = true
        continue
      }
      if isElided { lines = lines.drop { $0 != shown } }
      isElided = false
      let line = lines.popFirst()
      #expect(line == shown, "\(document.path):\(block.line): what is printed is not what is shown")
    }
    #expect(lines.isEmpty || isElided, "\(document.path):\(block.line): more is printed than is shown")
  }
}
