import Datasets
import Foundation

/// The files of a database that is open. Where others stand in their place, or none, what is written into these is lost.
struct DatabaseFiles: Sendable {
  /// Of the write-ahead log.
  let log: String
  private let opened: [(path: String, file: FileIdentity)]

  /// Of a database that was opened. Throws ``StoreError``.
  init(_ path: String) throws(StoreError) {
    // SQLite's own files are beside the database itself, not beside a link to it.
    guard let real = realpath(path, nil) else { throw Self.gone(path) }
    defer { free(real) }
    let names = ["", "-wal", "-shm"].map { String(cString: real) + $0 }
    log = names[1]
    var opened: [(String, FileIdentity)] = []
    for name in [path] + names {
      guard let file = FileIdentity(name) else { throw Self.gone(name) }
      opened.append((name, file))
    }
    self.opened = opened
  }

  /// Throws ``StoreError`` where they are not at their places any more.
  func check() throws(StoreError) {
    for (path, file) in opened {
      guard let found = FileIdentity(path) else { throw Self.gone(path) }
      guard found == file else {
        throw StoreError(
          "\(path): it was replaced while the server was at work on it, and nothing more is kept")
      }
    }
  }

  private static func gone(_ path: String) -> StoreError {
    StoreError(
      "\(path): it was moved or removed while the server was at work on it, and nothing more is kept (\(String(cString: strerror(errno))))"
    )
  }
}
