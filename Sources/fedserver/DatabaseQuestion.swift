import ArgumentParser
import Commands
import Foundation
import Server

/// What every command has that answers from a database: the file, and whether people or programs read the answer.
struct DatabaseQuestion: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The server's SQLite file; nothing in it is changed, and its server may be at work.", valueName: "file"),
    completion: .database)
  var database: String

  @Flag(help: "Print JSON.")
  var json = false

  /// Prints the answer, as JSON or as `text` has it.
  func answer<Answer: Encodable>(
    as text: (Answer) -> String, _ read: (_ database: String) throws -> Answer
  ) async throws {
    try await reporting {
      let answer = try reading(database) { try read(database) }
      try StandardOutput.write(json ? Commands.json(answer) : text(answer))
    }
  }
}

/// Reads from a database. Throws ``CommandFailure`` where it is not to be read.
func reading<Answer>(_ database: String, _ read: () throws -> Answer) throws -> Answer {
  do { return try read() } catch let error as StoreError {
    throw CommandFailure(.store, error.description)
  }
}
