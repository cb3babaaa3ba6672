import ArgumentParser
import Certificates
import Commands
import Foundation
import Pages
import Server
import Support
import Watch

/// Errors of a database's path, in detail; SQLite reports all of them with one message.
enum DatabasePlace {
  /// Throws ``CommandFailure`` if a server cannot use a database at the path, whether or not it exists.
  static func requireUsable(_ path: String) throws(CommandFailure) {
    let folder = folder(of: path)
    guard !isFolder(path) else { throw CommandFailure(.store, "\(path): it is a folder, not a database") }
    guard access(folder, F_OK) == 0 else {
      throw CommandFailure(.store, "\(path): its folder \(folder): \(String(cString: strerror(errno)))")
    }
    guard access(path, F_OK) != 0 || access(path, R_OK | W_OK) == 0 else {
      throw CommandFailure(.store, "\(path): no permission to read and write it")
    }
    // SQLite creates files next to the database, even for reading.
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

/// The options of the commands that read a database: the file and the output format.
struct DatabaseQuestion: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The server's SQLite file. It is only read; the server may be running.", valueName: "file"),
    completion: .database)
  var database: String

  @Flag(help: "Print JSON.")
  var json = false

  /// Prints the answer, as JSON or formatted by `text`.
  func answer<Answer: Encodable>(
    as text: (Answer) -> String, _ read: (_ database: String) throws -> Answer
  ) async throws {
    try await reporting {
      let answer = try reading(database) { try read(database) }
      try StandardOutput.write(json ? Commands.json(answer) : text(answer))
    }
  }
}

/// Reads from a database. Throws ``CommandFailure`` if it cannot be read.
func reading<Answer>(_ database: String, _ read: () throws -> Answer) throws -> Answer {
  do { return try read() } catch let error as StoreError {
    throw CommandFailure(.store, error.description)
  }
}

/// Returns the current state of a database's job. Throws ``CommandFailure`` if there is none, and `StoreError`.
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

/// Returns a table with aligned columns, numbers on the right. Escapes the cells, since another program may have
/// written the database.
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

/// Returns a number with `digits` decimal places, or a dash.
func number(_ value: Double?, digits: Int) -> String {
  value.map { Numeral.fixed($0, digits: digits) } ?? "-"
}

/// Runs a command's body. Reports errors of certificates and databases as one line and an exit code.
func reporting(_ body: () throws -> Void) async throws {
  try await Commands.reporting("fedserver") {
    do { try body() } catch let error as CertificateError {
      throw CommandFailure(.store, error.description)
    } catch let error as StoreError {
      throw CommandFailure(.store, error.description)
    }
  }
}
