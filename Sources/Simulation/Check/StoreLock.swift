import GRDB

/// Keeps a store from writing: another connection holds the database's lock.
final class StoreLock {
  private let database: DatabaseQueue?

  init(_ path: String) {
    var configuration = Configuration()
    configuration.allowsUnsafeTransactions = true
    database = try? DatabaseQueue(path: path, configuration: configuration)
    try? database?.inDatabase { try $0.beginTransaction(.immediate) }
  }

  func release() {
    try? database?.inDatabase { if $0.isInsideTransaction { try $0.rollback() } }
    try? database?.close()
  }
}
