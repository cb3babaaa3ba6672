import Foundation
import GRDB

/// Moves what was committed from SQLite's write-ahead log into the database, beside the rounds: of layers of megabytes it
/// takes the disk longer than a round's own rows.
final class Checkpoints: Sendable {
  private let path: String
  private let log: String
  private let configuration: Configuration
  private let queue = OperationQueue()

  /// Bytes of the log from which on it is worth its while.
  private static let worthwhile = 16 << 20

  /// - Parameters:
  ///   - log: the path of the write-ahead log.
  ///   - configuration: of the connections that are opened to the database.
  init(_ path: String, log: String, _ configuration: Configuration) {
    (self.path, self.log, self.configuration) = (path, log, configuration)
    queue.maxConcurrentOperationCount = 1
  }

  /// Begins one where the log has grown. One that fails is made up for by the next, or by SQLite itself as it commits,
  /// which says so where it fails too.
  func begin() {
    var status = stat()
    guard stat(log, &status) == 0, status.st_size >= Self.worthwhile, queue.operationCount == 0
    else { return }
    queue.addOperation { [path, configuration] in
      let database = try? DatabaseQueue(path: path, configuration: configuration)
      _ = try? database?.writeWithoutTransaction { try $0.checkpoint(.passive) }
    }
  }
}
