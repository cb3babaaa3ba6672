import Federation
import Foundation
import GRDB

/// Queries that do not change a database and can run while a server uses it.
extension Store {
  /// Returns the current or last status of a database's server; nil if none has run on it. Throws ``StoreError``, also
  /// if there is no such file.
  package static func status(of path: String) throws(StoreError) -> ServerStatus? {
    try History(path).status()
  }

  /// Returns the committed rounds of the job in order, each with its stage.
  package func committedRounds() throws(StoreError) -> [(stage: StageRecord, round: RoundRecord)] {
    try read { try Self.committedRounds(in: $0) }
  }

  /// Returns the committed rounds of the job in order, as the server reported them.
  package func roundSummaries() throws(StoreError) -> [RoundSummary] {
    try read { db in
      let clients = try Row.fetchAll(
        db, sql: "SELECT roundId, COUNT(*) AS count FROM updates WHERE refusal IS NULL GROUP BY roundId")
      let pairs: [(Int64, Int)] = try clients.map {
        (try $0.decode(forColumn: "roundId"), try $0.decode(forColumn: "count"))
      }
      let counts = Dictionary(uniqueKeysWithValues: pairs)
      return try Self.committedRounds(in: db).map { stage, round in
        RoundSummary(
          stage: stage.number, round: round.number, seconds: round.seconds ?? 0,
          clients: round.id.flatMap { counts[$0] } ?? 0, samples: round.samples ?? 0, metrics: round.metrics)
      }
    }
  }

  /// Returns whether the job has ended; false if there is none yet.
  package func isFinished() throws(StoreError) -> Bool {
    try read { try JobRecord.fetchOne($0)?.finishedAt != nil }
  }

  /// Returns the last committed round, without metrics; nil if there is none.
  func lastCommittedRound() throws(StoreError) -> RoundRecord? {
    try read { db in
      try RoundRecord.fetchOne(
        db,
        sql: """
          SELECT rounds.* FROM rounds JOIN stages ON stages.id = rounds.stageId
          WHERE outcome = 'committed' ORDER BY stages.number DESC, rounds.number DESC LIMIT 1
          """)
    }
  }

  /// Returns the metrics of the committed rounds of a job in order, by stage.
  package func history(of job: JobRecord) throws(StoreError) -> [[RoundMetrics]] {
    try read { db in
      let metrics = try Self.metrics(db, ofRounds: true)
      return try StageRecord.filter(Column("jobId") == job.id).order(Column("number")).fetchAll(db).map {
        stage in
        try RoundRecord.filter(Column("stageId") == stage.id && Column("outcome") == "committed")
          .order(Column("number")).fetchAll(db).map { metrics[$0.id] ?? RoundMetrics() }
      }
    }
  }

  /// Returns the images that the clients' updates counted for, by stage.
  package func stageImages() throws(StoreError) -> [CascadeAccount.Stage] {
    try read(Self.stageImages)
  }

  static func stageImages(_ db: Database) throws -> [CascadeAccount.Stage] {
    let rows = try Row.fetchCursor(
      db,
      sql: """
        SELECT stages.number, rounds.number AS round, outcome, client, updates.samples FROM updates
        JOIN rounds ON rounds.id = updates.roundId JOIN stages ON stages.id = rounds.stageId
        WHERE refusal IS NULL ORDER BY updates.id
        """)
    var stages: [Int: (rounds: Set<Int>, images: [String: Int], trained: Int)] = [:]
    while let row = try rows.next() {
      let (number, client, samples): (Int, String, Int) = (
        try row.decode(forColumn: "number"), try row.decode(forColumn: "client"),
        try row.decode(forColumn: "samples")
      )
      var stage = stages[number] ?? ([], [:], 0)
      // A database may contain any number.
      let counted = min(max(samples, 0), PlanLimits.samples)
      stage.images[client] = counted
      if try row.decode(String?.self, forColumn: "outcome") == RoundRecord.Outcome.committed.rawValue {
        stage.rounds.insert(try row.decode(forColumn: "round"))
        stage.trained = min(stage.trained + counted, 1 << 53)
      }
      stages[number] = stage
    }
    return stages.sorted { $0.key < $1.key }.map { number, stage in
      CascadeAccount.Stage(
        stage: number, rounds: stage.rounds.count, images: stage.images, trained: stage.trained)
    }
  }

  static func committedRounds(in db: Database) throws -> [(stage: StageRecord, round: RoundRecord)] {
    let stages = try StageRecord.order(Column("number")).fetchAll(db)
    let metrics = try metrics(db)
    return try stages.flatMap { stage in
      try RoundRecord.filter(Column("stageId") == stage.id && Column("outcome") == "committed")
        .order(Column("number")).fetchAll(db).map { round in
          var round = round
          round.metrics = metrics[round.id] ?? RoundMetrics()
          return (stage, round)
        }
    }
  }

  /// Returns the metrics that this version knows by round: all, or only those of whole rounds, without layers and
  /// clients.
  static func metrics(
    _ db: Database, ofRounds isLimited: Bool = false
  ) throws -> [Int64?: RoundMetrics] {
    let known = Set(Metric.all.map(\.name))
    // A database of an earlier version, which is only read, has them in columns.
    let sql = try db.tableExists("metrics") ? "SELECT * FROM metrics" : Schema.formerMetrics(db).sql
    guard !sql.isEmpty else { return [:] }
    let rows = try Row.fetchCursor(
      db,
      sql: """
        SELECT * FROM (\(sql)) WHERE NOT :isLimited OR (client IS NULL AND layer IS NULL)
        """, arguments: ["isLimited": isLimited])
    var metrics: [Int64?: RoundMetrics] = [:]
    while let row = try rows.next() {
      let name = try row.decode(String.self, forColumn: "name")
      guard known.contains(name) else { continue }
      metrics[try row.decode(Int64.self, forColumn: "roundId"), default: RoundMetrics()].add(
        RoundMetrics.Row(
          name: name, client: try row.decode(forColumn: "client"), layer: try row.decode(forColumn: "layer"),
          value: try row.decode(forColumn: "value")))
    }
    return metrics
  }

  /// Adds metrics of a round, in place of those that it has.
  static func add(_ metrics: RoundMetrics, of round: RoundRecord, to db: Database) throws {
    for row in metrics.rows {
      try db.execute(
        sql: "INSERT OR REPLACE INTO metrics (roundId, client, layer, name, value) VALUES (?, ?, ?, ?, ?)",
        arguments: [round.id, row.client, row.layer, row.name, row.value])
    }
  }

  /// Returns the number of rejected updates so far, by reason.
  static func rejections(_ db: Database) throws -> [String: Int] {
    let rows = try Row.fetchAll(
      db, sql: "SELECT refusal, COUNT(*) AS count FROM updates WHERE refusal IS NOT NULL GROUP BY refusal")
    let pairs: [(String, Int)] = try rows.map {
      (try $0.decode(forColumn: "refusal"), try $0.decode(forColumn: "count"))
    }
    return Dictionary(pairs, uniquingKeysWith: +)
  }
}

/// The coded differences between versions of layers.
extension Store {
  /// Returns the stored differences in the order in which they were made.
  package func steps() throws(StoreError) -> [LayerLibrary.Step] {
    try read { db in
      let rows = try Row.fetchAll(db, sql: "SELECT * FROM steps ORDER BY id")
      return try rows.compactMap { row in
        func text(_ column: String) throws -> String { try row.decode(forColumn: column) }
        guard let from = Digest(try text("fromDigest")), let to = Digest(try text("toDigest")),
          let digest = Digest(try text("digest")), let codec = UpdateCodec(rawValue: try text("codec"))
        else { return nil }
        let bytes = try row.decode(Data.self, forColumn: "bytes")
        return LayerLibrary.Step(
          part: try text("part"), to: to,
          delta: DeltaChain.Step(from: from, digest: digest, bytes: bytes.count, codec: codec), bytes: bytes)
      }
    }
  }

  /// Adds the steps of a round. Keeps the latest `kept` steps of each part.
  static func add(_ steps: [LayerLibrary.Step], keeping kept: [String: Int], to db: Database) throws {
    for step in steps {
      try db.execute(
        sql: "INSERT INTO steps (part, fromDigest, toDigest, codec, digest, bytes) VALUES (?, ?, ?, ?, ?, ?)",
        arguments: [
          step.part, step.delta.from?.description, step.to.description, step.delta.codec.rawValue,
          step.delta.digest.description, step.bytes,
        ])
    }
    for (part, count) in kept {
      try db.execute(
        sql: """
          DELETE FROM steps WHERE part = ? AND id NOT IN
          (SELECT id FROM steps WHERE part = ? ORDER BY id DESC LIMIT ?)
          """, arguments: [part, part, count])
    }
  }
}
