import ArgumentParser
import Datasets
import Foundation
import Support
import Wire

/// An unknown option. The parser reports a missing argument instead if there is one.
struct UnknownOption {
  /// The message, worded like the parser's.
  let message: String
  /// The command's usage, as the parser shows it below an error.
  let usage: String

  /// Nil if the command has all options given. `root` is the executable's command.
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
    // Words after `--` are not options.
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
  /// Removes the prefix `Usage: `, which the parser omits if the command's configuration defines the usage.
  private static func plain(_ usage: String) -> String {
    usage.hasPrefix("Usage: ") ? String(usage.dropFirst("Usage: ".count)) : usage
  }
}

extension AsyncParsableCommand {
  /// Runs the command of this process. If the command line lacks an argument and has an unknown option, reports the
  /// latter, which is probably a misspelling of the former.
  ///
  /// The function is not asynchronous: the runtime would open files before it runs, under the descriptors of closed
  /// standard streams.
  package static func start() -> Never {
    StandardStreams.prepare()
    Task {
      let code = await run()
      StandardError.shared.drain()
      Foundation.exit(code)
    }
    dispatchMain()
  }

  /// Runs the command. Returns the exit code.
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

  /// Reports the end of the command. Help and versions are results and go to standard output.
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

/// Returns the HOST:PORT of an option. Throws `ValidationError` with the option and a valid form.
///
/// - Parameter example: a valid address for the option.
package func address(_ text: String, of option: String, example: String) throws -> Endpoint {
  do {
    return try Endpoint(parsing: text)
  } catch {
    let reason = if case .address(_, let reason) = error { reason } else { "\(error)" }
    throw ValidationError("\(option): '\(text)': \(reason), such as \(example)")
  }
}

/// Text that the help of several commands shares.
package enum CommandHelp {
  /// The explanation of a data SPEC.
  package static let dataSpec = """
    A data SPEC is KIND:ARGUMENT, such as folder:DIR, cifar10:DIR or shapes:2000, and may end in ?skip=N&limit=N \
    (docs/data.md).
    """

  /// Returns a command's exit codes with their meanings, one per line. `make man` finds them below this heading.
  package static func exitCodes(_ codes: CommandFailure.Code...) -> String {
    let known = CommandFailure.Code.allCases.filter(codes.contains).map { ($0.rawValue, $0.meaning) }
    return (["Exit codes:"] + ([(0, success)] + known).map(line)).joined(separator: "\n")
  }

  private static let success = "success, or a server or client stopped cleanly by a signal"

  private static func line(_ code: Int32, _ meaning: String) -> String {
    "  \(code)\(String(repeating: " ", count: 4 - "\(code)".count))\(meaning)"
  }
}

extension CompletionKind {
  /// A plan file.
  package static var plan: CompletionKind { .file(extensions: ["yaml", "yml"]) }
  /// A server's database, without the other files of SQLite.
  package static var database: CompletionKind { .file(extensions: ["sqlite", "sqlite3", "db"]) }
}
