import ArgumentParser
import Commands
import Foundation

/// What every command has that answers from a database: the file, and whether people or programs read the answer.
struct DatabaseQuestion: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The server's SQLite file; nothing in it is changed, and its server may be at work.", valueName: "file"),
    completion: .file())
  var database: String

  @Flag(help: "Print JSON.")
  var json = false

  /// Prints the answer, as JSON or as `text` has it.
  func answer<Answer: Encodable>(
    as text: (Answer) -> String, _ read: (_ database: String) throws -> Answer
  ) async throws {
    try await reporting {
      let answer = try read(database)
      print(json ? try Commands.json(answer) : text(answer))
    }
  }
}
