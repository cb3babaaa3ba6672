import Foundation
import GRDB

/// A server's database as whoever watches reads it: nothing in it is changed, and the server may be at work on it.
package struct History: Sendable {
  private let database: DatabaseQueue
  private let path: String

  /// Opens a database. Throws ``StoreError``, also where there is no such file.
  package init(_ path: String) throws(StoreError) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw StoreError("\(path): there is no such file")
    }
    guard !isFolder.boolValue else { throw StoreError("\(path): it is a folder, and no database") }
    guard access(path, R_OK) == 0 else {
      let reason = errno == EACCES ? "no permission to read it" : String(cString: strerror(errno))
      throw StoreError("\(path): \(reason)")
    }
    var configuration = Configuration()
    configuration.readonly = true
    // A server that stops has the file for itself for a moment.
    configuration.busyMode = .timeout(5)
    do {
      database = try DatabaseQueue(path: path, configuration: configuration)
      try database.read(Schema.checkIsKnown)
    } catch {
      throw Self.failure(path, error)
    }
    self.path = path
  }

  /// SQLite wants to write beside what it reads: what processes tell each other of the log.
  private static func failure(_ path: String, _ error: any Error) -> StoreError {
    let folder = (path as NSString).deletingLastPathComponent
    guard let error = error as? DatabaseError,
      [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode),
      access(folder.isEmpty ? "." : folder, W_OK) != 0
    else { return StoreError("\(path): \(StoreError.reason(error))") }
    return StoreError(
      "\(path): SQLite cannot read it in a folder that it may not write to; copy it, and its -wal if there is one, to one that it may"
    )
  }

  /// What the server does or did last; nil where none has run on it.
  package func status() throws(StoreError) -> ServerStatus? {
    let lock = lock
    return try read { try Self.status($0, lock) }
  }

  /// All that is recorded of the job, as of one moment; nil where no server has run on it.
  package func job() throws(StoreError) -> RecordedJob? {
    let lock = lock
    return try read { db in
      guard let status = try Self.status(db, lock), let job = try JobRecord.fetchOne(db) else {
        return nil
      }
      return RecordedJob(
        job: job, status: status, attempts: try Self.attempts(db), clients: try Self.clients(db))
    }
  }

  /// Reads the database as it is at one moment. Throws ``StoreError`` that names the file.
  func read<Result>(_ body: (Database) throws -> Result) throws(StoreError) -> Result {
    do { return try database.read(body) } catch { throw Self.failure(path, error) }
  }

  /// Whether a server is at work, where that may be known, and what the last one had to say.
  private var lock: (isHeld: Bool?, lastWords: String?) {
    (DatabaseLock.isHeld(of: path), DatabaseLock.lastWords(of: path))
  }

  private static func status(
    _ db: Database, _ lock: (isHeld: Bool?, lastWords: String?)
  ) throws -> ServerStatus? {
    guard try db.tableExists("status"),
      let text = try String.fetchOne(db, sql: "SELECT status FROM status")
    else { return nil }
    var status = try JSONDecoder().decode(ServerStatus.self, from: Data(text.utf8))
    (status.refusals, status.isAtWork) = (try Store.refusals(db), lock.isHeld)
    // A server that its disk has failed could not say so in its database.
    if let reason = lock.lastWords, lock.isHeld == false, !status.hasEnded {
      (status.phase, status.reason) = (.failed, reason)
    }
    return status
  }

  private static func attempts(_ db: Database) throws -> [RecordedJob.Attempt] {
    let rows = try Row.fetchAll(
      db,
      sql: """
        SELECT rounds.*, stages.number AS stage,
          (SELECT COUNT(*) FROM updates WHERE roundId = rounds.id AND refusal IS NULL) AS admitted
        FROM rounds JOIN stages ON stages.id = rounds.stageId
        ORDER BY stages.number, rounds.number, rounds.attempt
        """)
    return try rows.map {
      RecordedJob.Attempt(stage: $0["stage"], record: try RoundRecord(row: $0), admitted: $0["admitted"])
    }
  }

  private static func clients(_ db: Database) throws -> [RecordedJob.Client] {
    let rows = try Row.fetchAll(
      db,
      sql: """
        SELECT client, COUNT(*) AS updates, SUM(refusal IS NOT NULL) AS refused FROM updates GROUP BY client
        """)
    let counts = Dictionary(
      uniqueKeysWithValues: rows.map {
        ($0["client"] as String, (updates: $0["updates"] as Int, refused: $0["refused"] as Int))
      })
    return try ClientRecord.order(Column("name")).fetchAll(db).map { record in
      let count = counts[record.name] ?? (0, 0)
      return RecordedJob.Client(
        record: record, admitted: count.updates - count.refused, refused: count.refused)
    }
  }
}

/// What a database says of its job.
package struct RecordedJob: Sendable {
  /// An attempt at a round, whatever became of it.
  package struct Attempt: Sendable {
    /// Counted from 1.
    package let stage: Int
    package let record: RoundRecord
    /// Updates that were admitted to it.
    package let admitted: Int
  }

  /// A client, and how many of its updates were admitted and refused.
  package struct Client: Sendable {
    package let record: ClientRecord
    package let admitted: Int
    package let refused: Int
  }

  package let job: JobRecord
  package let status: ServerStatus
  /// In order of stage, round and attempt.
  package let attempts: [Attempt]
  /// By name.
  package let clients: [Client]
}
