import Datasets

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
