import Datasets
import Foundation
import Synchronization

/// The files of an open database. If they are replaced or removed, all later writes are lost.
struct DatabaseFiles: Sendable {
  /// The path of the write-ahead log.
  let log: String
  private let opened: [(path: String, file: FileIdentity)]

  /// Records the files of an open database. Throws ``StoreError``.
  init(_ path: String) throws(StoreError) {
    // SQLite's other files are next to the database itself, not next to a link to it.
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

  /// Throws ``StoreError`` if the files at their paths are not the same any more.
  func check() throws(StoreError) {
    for (path, file) in opened {
      guard let found = FileIdentity(path) else { throw Self.gone(path) }
      guard found == file else {
        throw StoreError(
          "\(path): it was replaced while the server used it, and nothing more is stored")
      }
    }
  }

  private static func gone(_ path: String) -> StoreError {
    StoreError(
      "\(path): it was moved or removed while the server used it, and nothing more is stored (\(String(cString: strerror(errno))))"
    )
  }
}

/// A lock that marks a database as used by a server, so that no second server uses it.
///
/// It locks a file in the spool, so a copy of a database is not locked.
package final class DatabaseLock: Sendable {
  private let lock: FileLock

  /// Takes the lock. Throws ``StoreError`` if another server has it.
  package init(_ database: String) throws(StoreError) {
    do { lock = try FileLock(Self.file(database)) } catch {
      switch error {
      case .held(let owner):
        throw StoreError(
          "\(database): another server uses it\(owner.map { ", process \($0)" } ?? "")")
      case .unusable(let path, let reason): throw StoreError("\(path): \(reason)")
      }
    }
  }

  /// Releases the lock, so that another server may use the database.
  package func release() { lock.release() }

  /// Records why this server ends if the database cannot record it; ``lastWords(of:)`` returns it.
  func leave(_ reason: String) { lock.leave(reason) }

  /// Returns whether a server has a database's lock; nil if this user may not know.
  package static func isHeld(of database: String) -> Bool? { FileLock.isHeld(file(database)) }

  /// Returns why the last server of a database ended, if it could not write that to the database.
  static func lastWords(of database: String) -> String? { FileLock.note(file(database)) }

  private static func file(_ database: String) -> String { database + "-spool/lock" }
}

/// Flushes writes that no answer waits for, a second later and together. Files that are deleted by then, such as the
/// updates of a short round, are never flushed.
final class DeferredSync: Sendable {
  private let log: URL
  private let failure = Mutex<StoreError?>(nil)
  private let waiting = Mutex((files: [URL](), isBegun: false))
  private let queue = DispatchQueue(label: "deferred sync")

  /// The delay before a flush. A power failure can lose the writes of this time plus the time of the flush.
  private static let delay = DispatchTimeInterval.seconds(1)

  /// - Parameter log: the path of the database's write-ahead log, which is flushed.
  init(_ log: String) { self.log = URL(fileURLWithPath: log) }

  /// Throws ``StoreError`` if a flush has failed: the kernel drops what it could not write, and a second attempt would
  /// report success.
  func check() throws(StoreError) { if let error = failure.withLock({ $0 }) { throw error } }

  /// Records a write to the database and, if given, to a file.
  func note(_ file: URL? = nil) {
    let begins = waiting.withLock { waiting in
      if let file { waiting.files.append(file) }
      defer { waiting.isBegun = true }
      return !waiting.isBegun
    }
    if begins { queue.asyncAfter(deadline: .now() + Self.delay) { [self] in synchronise() } }
  }

  private func synchronise() {
    let files = waiting.withLock { waiting in
      defer { waiting = ([], false) }
      return waiting.files
    }
    do {
      for file in files { try UpdateFile.synchronise(file) }
      // The log is last: a row without its bytes is worse than bytes without their row.
      try UpdateFile(log).synchronise()
    } catch {
      failure.withLock { $0 = error }
    }
  }
}
