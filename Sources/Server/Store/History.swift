import Engine
import Federation
import Foundation
import GRDB
import GRDBSQLite
import Support

/// A read-only view of a server's database, which the server may be using.
///
/// Any file is either read or rejected with ``StoreError``: columns may have values of any type and length, and counts
/// may be inconsistent.
package struct History: Sendable {
  private let database: DatabaseQueue
  private let path: String

  /// The maximum bytes of a value that is read, except weights. The longest value is a plan; this is a multiple of its
  /// maximum (``PlanLimits/file``).
  static let mostBytes = 1 << 20
  /// The maximum characters of a text that is shown, such as a reason.
  private static let mostCharacters = 500

  /// Opens a database. Throws ``StoreError``, also if there is no such file.
  package init(_ path: String) throws(StoreError) {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw StoreError("\(path): there is no such file")
    }
    guard !isFolder.boolValue else { throw StoreError("\(path): it is a folder, not a database") }
    guard access(path, R_OK) == 0 else {
      let reason = errno == EACCES ? "no permission to read it" : String(cString: strerror(errno))
      throw StoreError("\(path): \(reason)")
    }
    var configuration = Configuration()
    configuration.readonly = true
    // A server that stops locks the file for a moment.
    configuration.busyMode = .timeout(5)
    configuration.prepareDatabase { $0.limitValues(to: Self.mostBytes) }
    do {
      database = try DatabaseQueue(path: path, configuration: configuration)
      try database.read(Schema.checkIsKnown)
    } catch {
      throw Self.failure(path, error)
    }
    self.path = path
  }

  /// Converts an error. SQLite must be able to write its shared-memory file in the folder, even for reading.
  private static func failure(_ path: String, _ error: any Error) -> StoreError {
    let folder = (path as NSString).deletingLastPathComponent
    guard let error = error as? DatabaseError,
      [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode),
      access(folder.isEmpty ? "." : folder, W_OK) != 0
    else { return StoreError("\(path): \(StoreError.reason(error))") }
    return StoreError(
      "\(path): SQLite needs write access to its folder; copy it, and its -wal file if there is one, to a writable folder"
    )
  }

  /// Returns the current or last status of the server; nil if none has run on the database.
  package func status() throws(StoreError) -> ServerStatus? {
    let lock = lock
    return try read { try Self.status($0, lock) }
  }

  /// Returns all records of the job at one moment; nil if no server has run on the database.
  package func job() throws(StoreError) -> RecordedJob? {
    let lock = lock
    return try read { db in
      guard let status = try Self.status(db, lock), let job = try JobRecord.fetchOne(db) else {
        return nil
      }
      return RecordedJob(
        job: job, status: status, attempts: try Self.attempts(db), clients: try Self.clients(db),
        confusion: try Store.confusion(db), picture: try Store.picture(db),
        images: (try? job.readPlan())?.method.cascade == nil ? [] : try Store.stageImages(db))
    }
  }

  /// Reads a consistent state of the database. Throws a ``StoreError`` that names the file.
  func read<Result>(_ body: (Database) throws -> Result) throws(StoreError) -> Result {
    do { return try database.read(body) } catch { throw Self.failure(path, error) }
  }

  /// Whether a server has the lock, if this user may know, and the reason why the last one ended.
  private var lock: (isHeld: Bool?, lastWords: String?) {
    (DatabaseLock.isHeld(of: path), DatabaseLock.lastWords(of: path))
  }

  private static func status(
    _ db: Database, _ lock: (isHeld: Bool?, lastWords: String?)
  ) throws -> ServerStatus? {
    guard try db.tableExists("status"),
      let text = try String.fetchOne(db, sql: "SELECT status FROM status")
    else { return nil }
    var status = try JSON.read(ServerStatus.self, from: Data(text.utf8)).bounded
    (status.rejections, status.isAtWork) = (try Store.rejections(db), lock.isHeld)
    // A server whose disk has failed could not record that in its database.
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
          (SELECT COUNT(*) FROM updates WHERE roundId = rounds.id AND refusal IS NULL) AS admitted,
          (SELECT \(try cut(db)) FROM updates WHERE roundId = rounds.id) AS cut
        FROM rounds JOIN stages ON stages.id = rounds.stageId
        ORDER BY stages.number, rounds.number, rounds.attempt
        """)
    let metrics = try Store.metrics(db)
    return try rows.map { row in
      var record = try RoundRecord(row: row)
      record.metrics = metrics[record.id] ?? RoundMetrics()
      record.reason = record.reason.map { String($0.prefix(mostCharacters)) }
      return RecordedJob.Attempt(
        stage: try row.decode(forColumn: "stage"), record: record,
        admitted: try row.decode(forColumn: "admitted"), cut: try row.decode(forColumn: "cut"))
    }
  }

  /// Returns the expression for the number of updates that counted in part; earlier versions do not record it.
  private static func cut(_ db: Database) throws -> String {
    try db.columns(in: "updates").contains { $0.name == "counted" } ? "COUNT(counted)" : "0"
  }

  private static func clients(_ db: Database) throws -> [RecordedJob.Client] {
    let rows = try Row.fetchAll(
      db,
      sql: """
        SELECT client, COUNT(*) AS updates, SUM(refusal IS NOT NULL) AS rejected, \(try cut(db)) AS cut
        FROM updates GROUP BY client
        """)
    // Names that differ in the file may be equal in Swift.
    var counts: [String: (updates: Int, rejected: Int, cut: Int)] = [:]
    for row in rows {
      counts[try row.decode(forColumn: "client")] = (
        try row.decode(forColumn: "updates"), try row.decode(forColumn: "rejected"),
        try row.decode(forColumn: "cut")
      )
    }
    let clients = try ClientRecord.fetchAll(db).map { record in
      var record = record
      record.software = String(record.software.prefix(mostCharacters))
      let count = counts[record.name] ?? (0, 0, 0)
      return RecordedJob.Client(
        record: record, admitted: count.updates - count.rejected, rejected: count.rejected, cut: count.cut)
    }
    return clients.sorted { $0.record.name.precedesNaturally($1.record.name) }
  }
}

extension Database {
  /// Makes SQLite reject values with more bytes before reading them (SQLITE_TOOBIG).
  func limitValues(to bytes: Int) {
    sqlite3_limit(sqliteConnection, SQLITE_LIMIT_LENGTH, CInt(clamping: bytes))
  }
}

/// The records of a database's job.
package struct RecordedJob: Sendable {
  /// An attempt at a round.
  package struct Attempt: Sendable {
    /// The stage, counted from 1.
    package let stage: Int
    package let record: RoundRecord
    /// The numbers of updates that were admitted, and of those whose claimed samples counted in part.
    package let admitted: Int
    package let cut: Int

    package init(stage: Int, record: RoundRecord, admitted: Int, cut: Int = 0) {
      (self.stage, self.record, self.admitted, self.cut) = (stage, record, admitted, cut)
    }
  }

  /// A client, with the numbers of its updates that were admitted, rejected, and counted in part.
  package struct Client: Sendable {
    package let record: ClientRecord
    package let admitted: Int
    package let rejected: Int
    package let cut: Int
  }

  /// The confusion matrix of the last exit after a committed round.
  package struct Confusion: Sendable {
    /// The key of the round's record.
    package let round: Int64
    package let cells: [ClassificationReport.Cell]
  }

  /// The picture of the representations of a committed round's model.
  package struct Picture: Sendable {
    /// The key of the round's record.
    package let round: Int64
    package let representations: RepresentationPicture
  }

  package let job: JobRecord
  package let status: ServerStatus
  /// The attempts in order of stage, round and attempt.
  package let attempts: [Attempt]
  /// The clients by name, in natural order.
  package let clients: [Client]
  /// Of the last probed round of a classification.
  package let confusion: Confusion?
  /// Of the last analysed round.
  package let picture: Picture?
  /// The images that counted in the stages of a cascade; empty without one.
  package let images: [CascadeAccount.Stage]
}
