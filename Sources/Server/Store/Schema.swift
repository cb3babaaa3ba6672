import GRDB

/// The tables of a server's database. A released migration is never edited; a change is a new migration.
enum Schema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1 jobs, stages, rounds, layers, clients, updates", migrate: createTables)
    migrator.registerMigration("2 collapse monitors of rounds", migrate: addMonitors)
    migrator.registerMigration("3 cohorts and offers", migrate: addCohorts)
    migrator.registerMigration("4 status", migrate: addStatus)
    migrator.registerMigration("5 steps between versions of layers", migrate: addSteps)
    migrator.registerMigration("6 initial weights", migrate: addInitialWeights)
    migrator.registerMigration("7 probes of rounds", migrate: addProbes)
    migrator.registerMigration("8 what rounds waited", migrate: addWaits)
    migrator.registerMigration("declines in cohorts, and what counts of claims", migrate: addDeclines)
    migrator.registerMigration("revoked certificates", migrate: addRevocations)
    migrator.registerMigration("decisions of curricula", migrate: addDecisions)
    migrator.registerMigration("metrics of rounds as rows", migrate: addMetrics)
    migrator.registerMigration("confusion matrices", migrate: addConfusions)
    migrator.registerMigration("learned controllers", migrate: addControllers)
    migrator.registerMigration("pictures of representations", migrate: addPictures)
    return migrator
  }

  /// Adds the picture of the representations of the last analysed model, as JSON.
  private static func addPictures(_ db: Database) throws {
    try db.create(table: "pictures") { t in
      t.belongsTo("round", inTable: "rounds").notNull()
      t.column("picture", .text).notNull()
      t.primaryKey(["roundId"])
    }
  }

  /// Adds the digest of the file of a job's learned controller; null without one.
  private static func addControllers(_ db: Database) throws {
    try db.alter(table: "jobs") { $0.add(column: "controller", .text) }
  }

  /// Adds the nonzero elements of the last exit's confusion matrix, of the last round that was probed.
  private static func addConfusions(_ db: Database) throws {
    try db.create(table: "confusions") { t in
      t.belongsTo("round", inTable: "rounds").notNull()
      t.column("label", .integer).notNull()
      t.column("predicted", .integer).notNull()
      t.column("count", .integer).notNull()
      t.primaryKey(["roundId", "label", "predicted"])
    }
  }

  /// Adds whether a member of a cohort has declined, and the samples that an update counted for in a committed round if
  /// it claimed more; null if all count.
  private static func addDeclines(_ db: Database) throws {
    try db.alter(table: "cohorts") { $0.add(column: "declined", .boolean).notNull().defaults(to: false) }
    try db.alter(table: "updates") { $0.add(column: "counted", .integer) }
  }

  /// Adds the revoked certificates by authority: a second copy of the list in the certificates' folder.
  private static func addRevocations(_ db: Database) throws {
    try db.create(table: "revocations") { t in
      t.column("authority", .text).notNull()
      t.column("serial", .text).notNull()
      t.column("name", .text).notNull()
      t.column("revokedAt", .datetime)
      t.primaryKey(["authority", "serial"])
    }
  }

  /// Moves the metrics of rounds from columns to rows: of a client, of a layer, or of the whole round if both are null.
  private static func addMetrics(_ db: Database) throws {
    try db.create(table: "metrics") { t in
      t.belongsTo("round", inTable: "rounds").notNull()
      t.column("client", .text)
      t.column("layer", .text)
      t.column("name", .text).notNull()
      t.column("value", .double).notNull()
    }
    // A plain unique key does not compare nulls.
    try db.execute(
      sql: "CREATE UNIQUE INDEX metricOnce ON metrics (roundId, name, IFNULL(client, ''), IFNULL(layer, ''))")
    let former = try formerMetrics(db)
    try db.execute(sql: "INSERT INTO metrics (roundId, client, layer, name, value) \(former.sql)")
    try db.alter(table: "rounds") { for column in former.columns { $0.drop(column: column) } }
  }

  /// Selects the metrics of a database that has them as columns of the rounds.
  static func formerMetrics(_ db: Database) throws -> (columns: [String], sql: String) {
    let there = Set(try db.columns(in: "rounds").map(\.name))
    let columns = [
      "loss", "calibrationLoss", "alignment", "uniformity", "deviation", "effectiveRank", "probe",
    ].filter(there.contains)
    let selections = columns.map {
      "SELECT id AS roundId, NULL AS client, NULL AS layer, '\($0)' AS name, \($0) AS value FROM rounds WHERE \($0) IS NOT NULL"
    }
    return (columns, selections.joined(separator: " UNION ALL "))
  }

  /// Adds the decision after a committed round; null for an older round.
  private static func addDecisions(_ db: Database) throws {
    try db.alter(table: "rounds") { $0.add(column: "decision", .text) }
  }

  /// Adds the seconds of waiting for clients before a round; null while it waits, and for an older round.
  private static func addWaits(_ db: Database) throws {
    try db.alter(table: "rounds") { $0.add(column: "waited", .double) }
  }

  /// Adds the linear probe of a round; null without one.
  private static func addProbes(_ db: Database) throws {
    try db.alter(table: "rounds") { $0.add(column: "probe", .double) }
  }

  /// Throws if a newer version of this software has changed the tables, whose meaning is unknown here.
  static func checkIsKnown(_ db: Database) throws {
    guard try !migrator.hasBeenSuperseded(db) else {
      throw StoreError("a newer version of this software has written it; use that, or another database")
    }
  }

  /// Adds the digest of the file with a job's initial weights; null without one.
  private static func addInitialWeights(_ db: Database) throws {
    try db.alter(table: "jobs") { $0.add(column: "initial", .text) }
  }

  /// Adds coded differences, each based on the previous version of its part.
  private static func addSteps(_ db: Database) throws {
    try db.create(table: "steps") { t in
      t.autoIncrementedPrimaryKey("id")
      t.column("part", .text).notNull()
      t.column("fromDigest", .text).notNull()
      t.column("toDigest", .text).notNull()
      t.column("codec", .text).notNull()
      t.column("digest", .text).notNull()
      t.column("bytes", .blob).notNull()
    }
  }

  /// Adds the server's status as JSON, in a single row.
  private static func addStatus(_ db: Database) throws {
    try db.create(table: "status") { t in
      t.primaryKey("id", .integer).check { $0 == 1 }
      t.column("status", .text).notNull()
    }
  }

  /// Adds the data from which a round continues after a restart.
  private static func addCohorts(_ db: Database) throws {
    try db.create(table: "cohorts") { t in
      t.belongsTo("round", inTable: "rounds").notNull()
      t.column("client", .text).notNull()
      t.primaryKey(["roundId", "client"])
    }
    // The acknowledged offer, as JSON.
    try db.alter(table: "updates") { $0.add(column: "offer", .text) }
  }

  private static func addMonitors(_ db: Database) throws {
    try db.alter(table: "rounds") { t in
      for name in ["alignment", "uniformity", "deviation", "effectiveRank"] { t.add(column: name, .double) }
    }
  }

  private static func createTables(_ db: Database) throws {
    try createJobTables(db)
    try createLayerTables(db)
    try createClientTables(db)
  }

  private static func createJobTables(_ db: Database) throws {
    try db.create(table: "jobs") { t in
      t.autoIncrementedPrimaryKey("id")
      t.column("name", .text).notNull()
      // The whole plan as YAML, which identifies the database.
      t.column("plan", .text).notNull()
      t.column("startedAt", .datetime).notNull()
      t.column("finishedAt", .datetime)
    }
    try db.create(table: "stages") { t in
      t.autoIncrementedPrimaryKey("id")
      t.belongsTo("job", inTable: "jobs").notNull()
      t.column("number", .integer).notNull()
      t.column("depth", .integer).notNull()
      t.column("startedAt", .datetime).notNull()
      t.column("finishedAt", .datetime)
      t.uniqueKey(["jobId", "number"])
    }
    try db.create(table: "rounds") { t in
      t.autoIncrementedPrimaryKey("id")
      t.belongsTo("stage", inTable: "stages").notNull()
      t.column("number", .integer).notNull()
      t.column("attempt", .integer).notNull()
      t.column("startedAt", .datetime).notNull()
      t.column("finishedAt", .datetime)
      // committed, abandoned, or null while it runs.
      t.column("outcome", .text)
      t.column("reason", .text)
      t.column("loss", .double)
      t.column("samples", .integer)
      t.column("seconds", .double)
      t.column("calibrationLoss", .double)
      t.uniqueKey(["stageId", "number", "attempt"])
    }
  }

  private static func createLayerTables(_ db: Database) throws {
    // Content-addressed: an unchanged layer is not stored again.
    try db.create(table: "weights") { t in
      t.primaryKey("digest", .text)
      t.column("bytes", .blob).notNull()
    }
    try db.create(table: "layers") { t in
      t.autoIncrementedPrimaryKey("id")
      t.belongsTo("round", inTable: "rounds").notNull()
      t.column("position", .integer).notNull()
      t.column("name", .text).notNull()
      t.column("digest", .text).notNull().references("weights")
      t.uniqueKey(["roundId", "name"])
    }
  }

  private static func createClientTables(_ db: Database) throws {
    try db.create(table: "clients") { t in
      t.primaryKey("name", .text)
      t.column("software", .text).notNull()
      t.column("firstSeen", .datetime).notNull()
      t.column("lastSeen", .datetime).notNull()
      t.column("samples", .integer).notNull().defaults(to: 0)
      t.column("bytesUp", .integer).notNull().defaults(to: 0)
      t.column("bytesDown", .integer).notNull().defaults(to: 0)
    }
    try db.create(table: "updates") { t in
      t.autoIncrementedPrimaryKey("id")
      t.belongsTo("round", inTable: "rounds").notNull()
      t.column("client", .text).notNull().references("clients")
      t.column("receivedAt", .datetime).notNull()
      t.column("samples", .integer).notNull()
      t.column("steps", .integer).notNull()
      t.column("loss", .double)
      t.column("bytes", .integer).notNull()
      t.column("seconds", .double).notNull()
      t.column("digest", .text).notNull()
      // Null: admitted.
      t.column("refusal", .text)
      // Unused: an update's bytes are in a file.
      t.column("weights", .blob)
    }
    // Ensures that a client is admitted at most once per round.
    try db.execute(
      sql: "CREATE UNIQUE INDEX admittedOnce ON updates (roundId, client) WHERE refusal IS NULL")
  }
}
