import Datasets
import Foundation

/// A server's database and what stands beside it: SQLite's own files, and the folder of updates.
struct DatabaseFamily {
  private static let endings = ["", "-wal", "-shm", "-journal", "-spool"]

  private let paths: [String]

  init(_ database: String) {
    // What belongs to it is beside the file itself, not beside a link to it.
    let real = Self.real(database) ?? database
    paths = Self.endings.map { real + $0 }
  }

  /// Whether a path in a folder is one of them, under whatever name, or will be once they are there, or is among the
  /// updates.
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

  /// A path without links; nil where there is nothing.
  private static func real(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }
}
