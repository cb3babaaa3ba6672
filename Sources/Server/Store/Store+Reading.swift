import Federation
import Foundation
import GRDB

/// What can be asked of a database without changing it, while a server may be using it.
extension Store {
  /// What the server of a database does or did last; nil where none has run on it. Throws ``StoreError``, also
  /// where there is no such file.
  package static func status(of path: String) throws(StoreError) -> ServerStatus? {
    try History(path).status()
  }

  /// The committed rounds of the job in order, each with its stage.
  package func committedRounds() throws(StoreError) -> [(stage: StageRecord, round: RoundRecord)] {
    try read { try Self.committedRounds(in: $0) }
  }

  /// The committed rounds of a stage, in order.
  package func history(of stage: StageRecord) throws(StoreError) -> [RoundMetrics] {
    try read { db in
      try RoundRecord.filter(Column("stageId") == stage.id && Column("outcome") == "committed")
        .order(Column("number")).fetchAll(db).map { RoundMetrics(round: $0.number, loss: $0.loss ?? .nan) }
    }
  }

  static func committedRounds(in db: Database) throws -> [(stage: StageRecord, round: RoundRecord)] {
    let stages = try StageRecord.order(Column("number")).fetchAll(db)
    return try stages.flatMap { stage in
      try RoundRecord.filter(Column("stageId") == stage.id && Column("outcome") == "committed")
        .order(Column("number")).fetchAll(db).map { (stage, $0) }
    }
  }

  /// How many updates were rejected so far, by reason.
  static func rejections(_ db: Database) throws -> [String: Int] {
    let rows = try Row.fetchAll(
      db, sql: "SELECT refusal, COUNT(*) AS count FROM updates WHERE refusal IS NOT NULL GROUP BY refusal")
    let pairs: [(String, Int)] = try rows.map {
      (try $0.decode(forColumn: "refusal"), try $0.decode(forColumn: "count"))
    }
    return Dictionary(pairs, uniquingKeysWith: +)
  }
}
