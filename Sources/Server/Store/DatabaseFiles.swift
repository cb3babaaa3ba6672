import Datasets
import Foundation
import Synchronization

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

/// Says that a server is at work on a database: a second one beside it would take its rounds and updates for its own.
///
/// It is a lock on a file in the spool. A copy of a database has none.
package final class DatabaseLock: Sendable {
  private let lock: FileLock

  /// Takes it. Throws ``StoreError`` where another server has it.
  package init(_ database: String) throws(StoreError) {
    do { lock = try FileLock(Self.file(database)) } catch {
      switch error {
      case .held(let owner):
        throw StoreError(
          "\(database): another server is at work on it\(owner.map { ", process \($0)" } ?? "")")
      case .unusable(let path, let reason): throw StoreError("\(path): \(reason)")
      }
    }
  }

  /// Gives it back; another server may have the database now.
  package func release() { lock.release() }

  /// Says why this server ends where the database cannot be told any more; ``lastWords(of:)`` finds it there.
  func leave(_ reason: String) { lock.leave(reason) }

  /// Whether some server has a database's lock; nil where this user may not know.
  package static func isHeld(of database: String) -> Bool? { FileLock.isHeld(file(database)) }

  /// Why the last server of a database ended, where it could not write that into the database.
  static func lastWords(of database: String) -> String? { FileLock.note(file(database)) }

  private static func file(_ database: String) -> String { database + "-spool/lock" }
}

/// Brings to the disk what no answer waits for: a second after it was written, with all that was written meanwhile.
/// What is gone again by then, as the updates of a short round are, the disk is spared.
final class DeferredSync: Sendable {
  private let log: URL
  private let failure = Mutex<StoreError?>(nil)
  private let waiting = Mutex((files: [URL](), isBegun: false))
  private let queue = DispatchQueue(label: "deferred sync")

  /// How long a power cut may take back what was written, plus the time that the disk takes.
  private static let delay = DispatchTimeInterval.seconds(1)

  /// - Parameter log: the path of the database's log, which is written through.
  init(_ log: String) { self.log = URL(fileURLWithPath: log) }

  /// Throws ``StoreError`` where something could not be brought to the disk: the kernel does not keep what it could not
  /// write, and a second try would say that all is well.
  func check() throws(StoreError) { if let error = failure.withLock({ $0 }) { throw error } }

  /// Something was written: to the database, and to a file where there is one.
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
      // Last: a row whose bytes are missing costs more than bytes whose row is.
      try UpdateFile(log).synchronise()
    } catch {
      failure.withLock { $0 = error }
    }
  }
}
