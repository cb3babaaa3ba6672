import Datasets
import Foundation

/// The files of a server's database: the database, SQLite's other files and the folder of updates.
struct DatabaseFamily {
  private static let endings = ["", "-wal", "-shm", "-journal", "-spool"]

  private let paths: [String]

  init(_ database: String) {
    // These files are next to the database itself, not next to a link to it.
    let real = Self.real(database) ?? database
    paths = Self.endings.map { real + $0 }
  }

  /// Returns whether a path in a folder is one of these files, under any name and even if it does not exist yet, or is
  /// in the folder of updates.
  func holds(_ path: String, in folder: String) -> Bool {
    if let file = FileIdentity(path), paths.contains(where: { FileIdentity($0) == file }) { return true }
    guard let place = Self.real(folder), let database = paths.first, let spool = paths.last else {
      return false
    }
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let isBeside = FileIdentity(place) == FileIdentity(OutputFile.folder(of: database))
    return isBeside && paths.contains { $0.split(separator: "/").last.map(String.init) == name }
      || (place + "/").hasPrefix(spool + "/")
  }

  /// Returns a path without links; nil if it does not exist.
  private static func real(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }
}
