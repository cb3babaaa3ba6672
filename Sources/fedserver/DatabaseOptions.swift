import ArgumentParser
import Certificates
import Commands
import Foundation
import Pages
import Server
import Support
import Watch

/// What keeps a database from being used, in words: SQLite has one message for all of it.
enum DatabasePlace {
  /// Throws ``CommandFailure`` where a server cannot have its database at a path, whether there is one or not.
  static func requireUsable(_ path: String) throws(CommandFailure) {
    let folder = folder(of: path)
    guard !isFolder(path) else { throw CommandFailure(.store, "\(path): it is a folder, and no database") }
    guard access(folder, F_OK) == 0 else {
      throw CommandFailure(.store, "\(path): its folder \(folder): \(String(cString: strerror(errno)))")
    }
    guard access(path, F_OK) != 0 || access(path, R_OK | W_OK) == 0 else {
      throw CommandFailure(.store, "\(path): no permission to read and write it")
    }
    // What belongs to it is beside it, even while it is only read.
    guard access(folder, W_OK | X_OK) == 0 else { throw noPlace(for: path, in: folder) }
  }

  private static func noPlace(for path: String, in folder: String) -> CommandFailure {
    CommandFailure(.store, "\(path): no permission to write in its folder \(folder)")
  }

  private static func folder(of path: String) -> String {
    URL(fileURLWithPath: path).deletingLastPathComponent().path
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
  }
}

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

/// A database's job as it is at one moment. Throws ``CommandFailure`` where there is none, and `StoreError`.
func readJob(_ database: String) throws -> (recorded: RecordedJob, overview: Overview) {
  guard let recorded = try History(database).job() else { throw CommandFailure.noServer(on: database) }
  do { return (recorded, Overview(recorded, try Overview.plan(of: recorded), at: Date())) } catch {
    throw CommandFailure(.store, "\(database): \(error)")
  }
}

extension CommandFailure {
  static func noServer(on database: String) -> CommandFailure {
    CommandFailure(.store, "\(database): no server has run on it yet")
  }
}

/// Cells in columns, each as wide as its widest; what is a number stands at the right. What a cell holds may come from
/// a database that somebody else has written.
func table(_ heads: [(String, isNumber: Bool)], _ rows: [[String]]) -> String {
  let rows = rows.map { $0.map { ForeignText($0).description } }
  let widths = heads.indices.map { column in
    ([heads[column].0] + rows.map { $0[column] }).map(\.count).max() ?? 0
  }
  return ([heads.map(\.0)] + rows).map { row in
    let cells = row.indices.map { column in
      let space = String(repeating: " ", count: widths[column] - row[column].count)
      return heads[column].isNumber ? space + row[column] : row[column] + space
    }
    let line = cells.joined(separator: "  ")
    return String(line.reversed().drop { $0 == " " }.reversed())
  }.joined(separator: "\n")
}

/// A text in a table of a terminal: one line without anything that a terminal would obey, whoever has written it.
private func cell(_ text: String) -> String {
  let isShown = { (scalar: Unicode.Scalar) in
    ![.control, .format, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
  }
  return String(String.UnicodeScalarView(text.unicodeScalars.map { isShown($0) ? $0 : "\u{FFFD}" }))
}

/// A number with so many digits, where there is one.
func number(_ value: Double?, digits: Int) -> String {
  value.map { Numeral.fixed($0, digits: digits) } ?? "-"
}

/// Runs a command's body; what is wrong with a certificate or a database becomes one line and an exit code.
func reporting(_ body: () throws -> Void) async throws {
  try await Commands.reporting("fedserver") {
    do { try body() } catch let error as CertificateError {
      throw CommandFailure(.store, error.description)
    } catch let error as StoreError {
      throw CommandFailure(.store, error.description)
    }
  }
}
