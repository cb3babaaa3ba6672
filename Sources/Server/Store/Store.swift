import Engine
import Federation
import Foundation
import GRDB
import Support
import Synchronization

/// The server's persistent state in an SQLite file. A call returns after it has stored its data. If it cannot, it
/// throws ``StoreError``, and the server stops without an answer.
package final class Store: Sendable {
  let database: DatabaseQueue
  private let isClosed = Atomic(false)
  /// The path of the database's file.
  let path: String
  private let files: DatabaseFiles
  private let checkpoints: Checkpoints
  let deferredSync: DeferredSync
  /// The files of updates, next to the database.
  package let updates: UpdateSpool

  /// Opens or creates a database.
  ///
  /// - Parameter patience: the seconds that a write waits for another connection's.
  package init(_ path: String, patience: Int = 5) throws(StoreError) {
    self.path = path
    var configuration = Configuration()
    do {
      // An earlier server, or a reader, locks the file for a moment when it ends.
      configuration.busyMode = .timeout(5)
      configuration.prepareDatabase { db in
        // For a new database: its content is mostly layers of megabytes, which take a quarter of the calls at this
        // size.
        try db.execute(sql: "PRAGMA page_size = 16384")
        try db.execute(sql: "PRAGMA journal_mode = WAL")
        // A committed round survives a power failure, also on flash memory that reorders writes.
        try db.execute(sql: "PRAGMA synchronous = FULL")
        // Less than the default of 2 MB: blobs of whole layers gain nothing from a larger page cache.
        try db.execute(sql: "PRAGMA cache_size = -1024")
        // ``Checkpoints`` usually runs before this limit, unless the disk is slower than the rounds.
        try db.execute(sql: "PRAGMA wal_autocheckpoint = 4096")
      }
      database = try DatabaseQueue(path: path, configuration: configuration)
      try database.read(Schema.checkIsKnown)
      try Schema.migrator.migrate(database)
      try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA busy_timeout = \(patience * 1000)") }
    } catch {
      throw StoreError("\(path): \(StoreError.reason(error))")
    }
    files = try DatabaseFiles(path)
    checkpoints = Checkpoints(path, log: files.log, configuration)
    deferredSync = DeferredSync(files.log)
    updates = try UpdateSpool(URL(fileURLWithPath: path + "-spool"))
  }

  /// Makes every later call throw.
  package func close() { isClosed.store(true, ordering: .relaxed) }

  private func requireOpen() throws(StoreError) {
    guard !isClosed.load(ordering: .relaxed) else { throw StoreError("\(path): the database is closed") }
  }

  /// Writes in a transaction. If not `awaited`, it is flushed with the next write that is, or by the ``DeferredSync``.
  /// Throws ``StoreError``, also if an earlier write could not be flushed, or if the database is not at its path any
  /// more.
  func write<Result>(
    awaited: Bool = true, _ body: (Database) throws -> Result
  ) throws(StoreError) -> Result {
    try requireOpen()
    try deferredSync.check()
    let result: Result
    do {
      result =
        try awaited ? database.write(body) : database.writeWithoutTransaction { try Self.hurried($0, body) }
    } catch let error as StoreError {
      throw error
    } catch {
      throw StoreError("\(path): \(StoreError.reason(error))")
    }
    try files.check()
    return result
  }

  /// Runs a transaction without flushing it. Later transactions are flushed again, or this throws.
  private static func hurried<Result>(_ db: Database, _ body: (Database) throws -> Result) throws -> Result {
    try db.execute(sql: "PRAGMA synchronous = NORMAL")
    let outcome = Swift.Result {
      var result: Result?
      try db.inTransaction {
        result = try body(db)
        return .commit
      }
      return result!
    }
    try db.execute(sql: "PRAGMA synchronous = FULL")
    return try outcome.get()
  }

  func read<Result>(_ body: (Database) throws -> Result) throws(StoreError) -> Result {
    try requireOpen()
    do {
      return try database.read(body)
    } catch let error as StoreError {
      throw error
    } catch {
      throw StoreError("\(path): \(StoreError.reason(error))")
    }
  }

  // MARK: - Jobs, stages and rounds

  /// Returns the database's job, created for `plan` if there is none. Throws if it belongs to another plan.
  package func openJob(_ plan: Plan, at now: Date) throws(StoreError) -> JobRecord {
    let text = plan.yaml()
    return try write { db in
      if let job = try JobRecord.fetchOne(db) {
        // An older version of this software may have stored fewer fields.
        let known = job.plan == text ? plan : try? job.readPlan()
        guard known == plan else {
          let differences = known.map { plan.differences(from: $0).prefix(3) } ?? []
          let list = differences.isEmpty ? "" : ": " + differences.joined(separator: "; ")
          let name = StoreError.firstLine(job.name)
          throw StoreError("the database belongs to the plan '\(name)', which is not this one\(list)")
        }
        return job
      }
      var job = JobRecord(name: plan.name, plan: text, startedAt: now)
      try job.insert(db)
      return job
    }
  }

  package func finish(_ job: JobRecord, at now: Date) throws(StoreError) {
    var job = job
    job.finishedAt = now
    let finished = job
    try write { try finished.update($0, columns: ["finishedAt"]) }
  }

  /// A file that a job keeps using, of which the store records the digest.
  package enum PinnedFile: String, Sendable {
    case initial, controller

    fileprivate var digest: WritableKeyPath<JobRecord, Digest?> {
      switch self {
      case .initial: \.initial
      case .controller: \.controller
      }
    }
  }

  /// Records the digest of a job's file, the first time. Returns why another file cannot take its place; nil if it is
  /// the same.
  package func pin(_ digest: Digest, as file: PinnedFile, of job: JobRecord) throws(StoreError) -> String? {
    let known = try write { db in
      guard let id = job.id, var job = try JobRecord.fetchOne(db, key: id) else {
        throw StoreError("job '\(job.name)' is missing")
      }
      if let known = job[keyPath: file.digest] { return known }
      job[keyPath: file.digest] = digest
      try job.update(db, columns: [file.rawValue])
      return digest
    }
    return known == digest
      ? nil : "it is not the file that the job began with (SHA-256 \(digest) instead of \(known))"
  }

  /// Returns the row of a stage, created if there is none.
  package func openStage(_ number: Int, depth: Int, of job: JobRecord, at now: Date) throws(StoreError)
    -> StageRecord
  {
    try write { db in
      let jobID = try job.key()
      let known = StageRecord.filter(Column("jobId") == jobID && Column("number") == number)
      if let stage = try known.fetchOne(db) { return stage }
      try db.execute(
        sql: "UPDATE stages SET finishedAt = ? WHERE jobId = ? AND finishedAt IS NULL",
        arguments: [now.stored, jobID])
      var stage = StageRecord(jobId: jobID, number: number, depth: depth, startedAt: now)
      try stage.insert(db)
      return stage
    }
  }

  /// A round that a stopped server left unfinished: its cohort, the admitted offers in client order, and the clients
  /// that were rejected or have declined.
  package struct UnfinishedRound: Sendable {
    package let record: RoundRecord
    package let cohort: [String]
    /// In client order.
    package var admitted: [(client: String, offer: UpdateOffer)]
    package let rejected, declined: [String]

    package init(
      record: RoundRecord, cohort: [String] = [], admitted: [(client: String, offer: UpdateOffer)] = [],
      rejected: [String] = [], declined: [String] = []
    ) {
      (self.record, self.cohort, self.admitted) = (record, cohort, admitted)
      (self.rejected, self.declined) = (rejected, declined)
    }
  }

  /// Returns the unfinished round of a stage; nil if there is none.
  package func openRound(of stage: StageRecord) throws(StoreError) -> UnfinishedRound? {
    try read { db in
      let open = RoundRecord.filter(Column("stageId") == stage.id && Column("outcome") == nil)
      guard let round = try open.fetchOne(db) else { return nil }
      let members = try Row.fetchAll(
        db, sql: "SELECT client, declined FROM cohorts WHERE roundId = ? ORDER BY client",
        arguments: [round.id])
      let cohort = members.map { $0["client"] as String }
      let declined = members.filter { $0["declined"] }.map { $0["client"] as String }
      let rows = try Row.fetchAll(
        db, sql: "SELECT client, offer, refusal FROM updates WHERE roundId = ? ORDER BY client",
        arguments: [round.id])
      var (admitted, rejected): ([(client: String, offer: UpdateOffer)], [String]) = ([], [])
      for row in rows {
        let client = try row.decode(String.self, forColumn: "client")
        if let rejection = try row.decode(String?.self, forColumn: "refusal") {
          // An offer for another round does not concern this one.
          if rejection != Rejection.wrongRound.rawValue { rejected.append(client) }
        } else if let text = try row.decode(String?.self, forColumn: "offer") {
          let offer = try JSON.read(UpdateOffer.self, from: Data(text.utf8))
          admitted.append((client, offer))
        }
      }
      return UnfinishedRound(
        record: round, cohort: cohort, admitted: admitted, rejected: rejected, declined: declined)
    }
  }

  /// Adds clients to those asked to train in a round, and records how long the round waited for the first.
  package func ask(_ clients: [String], of round: RoundRecord) throws(StoreError) {
    try write(awaited: false) { db in
      try db.execute(
        sql: "UPDATE rounds SET waited = ? WHERE id = ?", arguments: [round.waited, round.id])
      for client in clients {
        try db.execute(
          sql: """
            INSERT INTO cohorts (roundId, client) VALUES (?, ?) ON CONFLICT DO UPDATE SET declined = FALSE
            """, arguments: [round.id, client])
      }
    }
    deferredSync.note()
  }

  /// Records that a member of a round's cohort has declined.
  package func decline(_ client: String, of round: RoundRecord) throws(StoreError) {
    try write(awaited: false) { db in
      try db.execute(
        sql: "UPDATE cohorts SET declined = TRUE WHERE roundId = ? AND client = ?",
        arguments: [round.id, client])
    }
    deferredSync.note()
  }

  /// Returns the clients asked to train last; empty at a job's beginning.
  func lastCohort() throws(StoreError) -> [String] {
    try read {
      try String.fetchAll(
        $0, sql: "SELECT client FROM cohorts WHERE roundId = (SELECT MAX(roundId) FROM cohorts)")
    }
  }

  /// Starts an attempt at a round, which replaces an unfinished one.
  package func openRound(_ key: RoundKey, of stage: StageRecord, at now: Date) throws(StoreError)
    -> RoundRecord
  {
    try write(awaited: false) { db in
      let stageID = try stage.key()
      try db.execute(
        sql: """
          UPDATE rounds SET outcome = 'abandoned', reason = 'the server stopped', finishedAt = ?
          WHERE stageId = ? AND outcome IS NULL
          """, arguments: [now.stored, stageID])
      var round = RoundRecord(
        stageId: stageID, number: key.round, attempt: key.attempt, startedAt: now)
      try round.insert(db)
      return round
    }
  }

  /// Makes a round's result the global model: stores its layers and figures, and deletes its updates' bytes.
  package func commit(_ round: RoundRecord, _ snapshot: Snapshot) throws(StoreError) {
    try commit(round, snapshot, LayerLibrary.Changes())
  }

  /// Commits a round with the deltas to the changed layers, and the samples that counted of updates that claimed more.
  /// The commit survives a power failure.
  package func commit(
    _ round: RoundRecord, _ snapshot: Snapshot, _ changes: LayerLibrary.Changes, counted: [String: Int] = [:]
  ) throws(StoreError) {
    try write { db in
      try Self.add(changes.steps, keeping: changes.kept, to: db)
      var committed = round
      committed.outcome = .committed
      try committed.update(db)
      try Self.add(round.metrics, of: round, to: db)
      for (client, samples) in counted {
        try db.execute(
          sql: "UPDATE updates SET counted = ? WHERE roundId = ? AND client = ? AND refusal IS NULL",
          arguments: [samples, round.id, client])
      }
      // Executing a statement with its arguments does not copy their bytes.
      let weights = try db.makeStatement(
        sql: "INSERT OR IGNORE INTO weights (digest, bytes) VALUES (?, ?)")
      for (position, version) in snapshot.versions.enumerated() {
        try weights.execute(arguments: [version.digest.description, snapshot.data(version.digest)])
        var layer = LayerRecord(
          roundId: try round.key(), position: position, name: version.name, digest: version.digest)
        try layer.insert(db)
      }
    }
    updates.clear(try round.key())
    checkpoints.begin()
  }

  package func abandon(_ round: RoundRecord, reason: String) throws(StoreError) {
    try write { db in
      var abandoned = round
      (abandoned.outcome, abandoned.reason) = (.abandoned, reason)
      try abandoned.update(db)
    }
    updates.clear(try round.key())
  }

  /// Returns the last committed round of a job and the weights of its layers, in layout order.
  package func lastCommitted(of job: JobRecord) throws(StoreError)
    -> (stage: StageRecord, round: RoundRecord, parts: [(name: String, weights: Data)])?
  {
    try read { db in
      let sql = """
        SELECT rounds.* FROM rounds JOIN stages ON stages.id = rounds.stageId
        WHERE stages.jobId = ? AND outcome = 'committed' ORDER BY stages.number DESC, rounds.number DESC LIMIT 1
        """
      guard let round = try RoundRecord.fetchOne(db, sql: sql, arguments: [job.id]),
        let stage = try StageRecord.fetchOne(db, key: round.stageId)
      else { return nil }
      return (stage, round, try Self.layers(of: round, in: db))
    }
  }

  /// Returns the weights of a committed round's layers, in layout order.
  package func layers(of round: RoundRecord) throws(StoreError) -> [(name: String, weights: Data)] {
    try read { try Self.layers(of: round, in: $0) }
  }

  static func layers(
    of round: RoundRecord, in db: Database
  ) throws -> [(name: String, weights: Data)] {
    let rows = try Row.fetchAll(
      db,
      sql: """
        SELECT layers.name, weights.bytes FROM layers JOIN weights ON weights.digest = layers.digest
        WHERE roundId = ? ORDER BY position
        """, arguments: [round.id])
    return try rows.map { (try $0.decode(forColumn: "name"), try $0.decode(forColumn: "bytes")) }
  }

  /// Returns the highest attempt at a round so far; 0 if it was never started.
  package func lastAttempt(at number: Int, of stage: StageRecord) throws(StoreError) -> Int {
    try read { db in
      let rounds = RoundRecord.filter(Column("stageId") == stage.id && Column("number") == number)
      // The next attempt is this plus one, which must not overflow.
      return min(try Int.fetchOne(db, rounds.select(max(Column("attempt")))) ?? 0, Int.max - 1)
    }
  }
}
