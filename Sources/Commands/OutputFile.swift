import Datasets
import Engine
import Federation
import Foundation
import Support

/// A file that a command writes. Readers see the old file or the complete new one; only a regular file is ever
/// replaced.
package struct OutputFile: Sendable {
  private let path: String
  private let folder: String
  /// The mode of the file that is replaced.
  private let mode: mode_t?
  /// The file that is renamed once it is complete.
  private let draft: String

  /// Checks that the file can be written, before its content is computed. Throws ``CommandFailure`` with the path.
  ///
  /// - Parameter database: the database that the command reads; none of its files is overwritten.
  package init(_ path: String, notIn database: String? = nil) throws(CommandFailure) {
    func reject(_ reason: String) -> CommandFailure { CommandFailure(.store, "\(path): \(reason)") }
    self.path = path
    folder = Self.folder(of: path)
    draft = "\(folder)/.strata-\(UUID().uuidString)"
    guard !path.isEmpty, !path.hasSuffix("/") else { throw reject("it does not name a file") }
    guard FileIdentity(folder) != nil else {
      throw reject("its folder \(folder): \(String(cString: strerror(errno)))")
    }
    var status = stat()
    if lstat(path, &status) == 0 {
      let kind = status.st_mode & S_IFMT
      guard kind != S_IFLNK else { throw reject("it is a symbolic link, which is not followed") }
      guard kind == S_IFREG else { throw reject("it exists and is not a regular file") }
      mode = status.st_mode & 0o777
    } else {
      guard errno == ENOENT else { throw reject(String(cString: strerror(errno))) }
      mode = nil
    }
    if let database, DatabaseFamily(database).holds(path, in: folder) {
      throw reject("it belongs to the database \(database), and is not replaced")
    }
    guard !Self.isDatabase(path) else { throw reject("it is a database, and is not replaced") }
  }

  /// Writes the file. Throws ``CommandFailure`` with the path.
  package func write(_ bytes: Data) throws(CommandFailure) {
    try write { try bytes.write(to: URL(fileURLWithPath: $0)) }
  }

  /// Writes the file with `make`, which gets a temporary path. Throws ``CommandFailure`` with the path.
  package func write(_ make: (_ path: String) throws -> Void) throws(CommandFailure) {
    do {
      let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { throw Self.lastError }
      defer { close(descriptor) }
      try make(draft)
      if let mode, fchmod(descriptor, mode) != 0 { throw Self.lastError }
      guard fsync(descriptor) == 0, rename(draft, path) == 0 else { throw Self.lastError }
    } catch {
      unlink(draft)
      throw error as? CommandFailure ?? CommandFailure(.store, "\(path): \(error.systemWords)")
    }
  }

  /// Removes what a ``write(_:)`` that is abandoned has written so far.
  package func discard() { unlink(draft) }

  private static var lastError: POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }

  /// Returns the folder of a path's last component.
  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Returns whether a file has the header of an SQLite database.
  private static func isDatabase(_ path: String) -> Bool {
    guard let file = FileHandle(forReadingAtPath: path) else { return false }
    defer { try? file.close() }
    return (try? file.read(upToCount: 15)) == Data("SQLite format 3".utf8)
  }
}

/// Returns a value as printed by `--json`.
package func json(_ value: some Encodable) throws -> String {
  escapedJSON(String(decoding: try JSON.shown(value), as: UTF8.self))
}

/// Returns JSON that is safe to print on a terminal: escapes the control characters that the encoder does not.
package func escapedJSON(_ text: String) -> String {
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    if scalar == "\n" || ForeignText.isPlain(scalar) {
      result.append(scalar)
    } else {
      for unit in UTF16.encode(scalar)! {
        let digits = String(unit, radix: 16)
        result.append(
          contentsOf: "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".unicodeScalars)
      }
    }
  }
  return String(result)
}
