import ArgumentParser
import Datasets
import Foundation
import Support
import Wire

/// An option that a command does not have, where the parser complains of what is missing instead.
struct UnknownOption {
  /// What is said of it, in the parser's own words.
  let message: String
  /// How the command is called, as the parser shows it below an error.
  let usage: String

  /// Nil where every option is one of the command's. `root` is the executable's.
  init?(among words: [String], of root: any ParsableCommand.Type) {
    var (command, names, rest) = (root, [root._commandName], words[...])
    while let word = rest.first,
      let next = command.configuration.subcommands.first(where: { $0._commandName == word })
    {
      (command, rest) = (next, rest.dropFirst())
      names.append(word)
    }
    let help = root.helpMessage(for: command, columns: 1000)
    let known = Set(help.matches(of: /--[a-z][a-z-]*/).map { String($0.output) })
    // What stands behind two dashes alone is no option.
    let options = rest.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }.map { $0.prefix { $0 != "=" } }
    guard let unknown = options.first(where: { !known.contains(String($0)) }) else { return nil }
    let name = Spelling.shortened(String(unknown))
    let meant = Spelling.nearest(to: name, among: known.sorted(), by: { $0 })
    message = "Unknown option '\(name)'" + (meant.map { ". Did you mean '\($0)'?" } ?? "")
    let call = names.joined(separator: " ")
    usage =
      "Usage: \(Self.plain(root.usageString(for: command)))\n  See '\(call) --help' for more information."
  }
}

extension UnknownOption {
  /// Where a command's configuration says how it is called, the parser says that alone.
  private static func plain(_ usage: String) -> String {
    usage.hasPrefix("Usage: ") ? String(usage.dropFirst("Usage: ".count)) : usage
  }
}

extension AsyncParsableCommand {
  /// Runs the command that this process was started for. Of a command line that lacks something and has an option that
  /// does not exist, the latter is told: it is a slip of the pen for the former.
  ///
  /// It is not asynchronous itself: the runtime would have opened files by then, under the numbers of streams that are
  /// closed.
  package static func start() -> Never {
    StandardStreams.prepare()
    Task {
      let code = await run()
      StandardError.shared.drain()
      Foundation.exit(code)
    }
    dispatchMain()
  }

  /// Returns the exit code.
  private static func run() async -> Int32 {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      return 0
    } catch {
      let words = Array(CommandLine.arguments.dropFirst())
      if message(for: error).hasPrefix("Missing expected argument"),
        let unknown = UnknownOption(among: words, of: Self.self)
      {
        StandardError.shared.write("Error: \(unknown.message)\n\(unknown.usage)\n")
        return CommandFailure.Code.usage.rawValue
      }
      return end(with: error)
    }
  }

  /// Says what there is to say of the end: help and versions are results.
  private static func end(with error: any Error) -> Int32 {
    let (code, text) = (exitCode(for: error), fullMessage(for: error))
    guard !text.isEmpty else { return code.rawValue }
    guard code.isSuccess else {
      StandardError.shared.write("\(ForeignText.lines(text))\n")
      return code.rawValue
    }
    do {
      try StandardOutput.write(text)
      return code.rawValue
    } catch {
      StandardError.shared.write("\(_commandName): \((error as? CommandFailure)?.message ?? "\(error)")\n")
      return CommandFailure.Code.store.rawValue
    }
  }
}

/// The HOST:PORT that an option names. Throws `ValidationError` with the option and what would be right.
///
/// - Parameter example: an address as the option may have it.
package func address(_ text: String, of option: String, example: String) throws -> Endpoint {
  do {
    return try Endpoint(parsing: text)
  } catch {
    let reason = if case .address(_, let reason) = error { reason } else { "\(error)" }
    throw ValidationError("\(option): '\(text)': \(reason), such as \(example)")
  }
}

/// Words that several commands' help has.
package enum CommandHelp {
  /// What a data SPEC is.
  package static let dataSpec = """
    A data SPEC is KIND:ARGUMENT, such as folder:DIR, cifar10:DIR or shapes:2000, and may end in ?skip=N&limit=N \
    (docs/data.md).
    """

  /// A command's exit codes with their meaning, a line each; `make man` finds them below this heading.
  package static func exitCodes(_ codes: CommandFailure.Code...) -> String {
    let known = CommandFailure.Code.allCases.filter(codes.contains).map { ($0.rawValue, $0.meaning) }
    return (["Exit codes:"] + ([(0, success)] + known).map(line)).joined(separator: "\n")
  }

  private static let success = "done, or a server or client stopped in good order by a signal"

  private static func line(_ code: Int32, _ meaning: String) -> String {
    "  \(code)\(String(repeating: " ", count: 4 - "\(code)".count))\(meaning)"
  }
}

extension CompletionKind {
  /// A plan's file.
  package static var plan: CompletionKind { .file(extensions: ["yaml", "yml"]) }
  /// A server's database, and none of the files that SQLite has beside it.
  package static var database: CompletionKind { .file(extensions: ["sqlite", "sqlite3", "db"]) }
}
