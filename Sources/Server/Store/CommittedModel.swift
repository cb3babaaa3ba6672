import Engine
import Federation
import Foundation
import GRDB

/// The model after a committed round, with the plan of its job.
package struct CommittedModel: Sendable {
  package let plan: Plan
  package let key: RoundKey
  /// The model with all layers, also those that wait in a later lap.
  package let snapshot: Snapshot

  /// The encoder, and the exits of a classification, with their origin; other heads are omitted.
  package var checkpoint: EncoderCheckpoint {
    EncoderCheckpoint(
      snapshot, plan.augmentation, method: plan.method,
      origin: .init(plan: plan.name, stage: key.stage, round: key.round))
  }

  /// Reads a round of the job in a database that may be in use: by default the last committed one, of all rounds or of
  /// a stage. Throws ``StoreError`` if there is no such round.
  package init(in path: String, stage: Int? = nil, round: Int? = nil) throws(StoreError) {
    self = try History(path).read { db in
      guard try db.tableExists("jobs"), let job = try JobRecord.fetchOne(db) else {
        throw StoreError("no server has run on it yet")
      }
      let (stage, record) = try Self.record(stage: stage, round: round, in: db)
      return try CommittedModel(job, stage, record, in: db)
    }
  }

  private init(_ job: JobRecord, _ stage: StageRecord, _ round: RoundRecord, in db: Database) throws {
    key = RoundKey(stage: stage.number, round: round.number, attempt: round.attempt)
    do {
      plan = try job.readPlan()
    } catch {
      throw StoreError(StoreError.firstLine(error.description))
    }
    // Checks the sizes against the plan's before reading any layer.
    guard let sizes = plan.sizes(stage: key.stage),
      try Self.sizes(of: round, atMost: sizes.count + 1, in: db) == sizes
    else { throw StoreError.unlike(key) }
    db.limitValues(to: (sizes.max() ?? 0) + History.mostBytes)
    guard let snapshot = plan.snapshot(stage: key.stage, try Store.layers(of: round, in: db)) else {
      throw StoreError.unlike(key)
    }
    self.snapshot = snapshot.complete
  }

  /// Returns the bytes of a round's layers without reading them; nil if one is not a blob.
  private static func sizes(of round: RoundRecord, atMost count: Int, in db: Database) throws -> [Int]? {
    let sizes = try Int?.fetchAll(
      db,
      sql: """
        SELECT CASE typeof(bytes) WHEN 'blob' THEN length(bytes) END
        FROM layers JOIN weights ON weights.digest = layers.digest WHERE roundId = ? ORDER BY position LIMIT ?
        """, arguments: [round.id, count])
    return sizes.contains(nil) ? nil : sizes.compactMap(\.self)
  }

  private static func record(
    stage: Int?, round: Int?, in db: Database
  ) throws -> (StageRecord, RoundRecord) {
    let rounds = try Store.committedRounds(in: db)
    guard let last = rounds.last else { throw StoreError("no round is committed yet") }
    let wanted = rounds.last {
      $0.stage.number == stage ?? $0.stage.number && $0.round.number == round ?? $0.round.number
    }
    guard let wanted else {
      let asked = [stage.map { "stage \($0)" }, round.map { "round \($0)" }].compactMap(\.self)
      throw StoreError(
        "\(asked.joined(separator: " ")) is not committed; the last is stage \(last.stage.number) round \(last.round.number)"
      )
    }
    return wanted
  }
}

extension StoreError {
  fileprivate static func unlike(_ key: RoundKey) -> StoreError {
    StoreError("the layers of \(key) do not match the plan")
  }
}

extension Store {
  /// Returns the model after a committed round of a plan's job.
  package func snapshot(
    _ plan: Plan, _ stage: StageRecord, _ round: RoundRecord
  ) throws(StoreError) -> Snapshot {
    guard let snapshot = plan.snapshot(stage: stage.number, try layers(of: round)) else {
      throw .unlike(RoundKey(stage: stage.number, round: round.number, attempt: round.attempt))
    }
    return snapshot
  }
}

extension Plan {
  /// Returns the parts that are stored with a round of a stage: its model's and those that wait.
  private func storedParts(of stage: Stage) -> [Model.Part] {
    stage.model.parts + waitingParts(stage: stage.index)
  }

  /// Returns the bytes of the parts that are stored with a round of a stage; nil if there is no such stage.
  fileprivate func sizes(stage index: Int) -> [Int]? {
    guard (1...stages).contains(index) else { return nil }
    return storedParts(of: stage(index)).map { $0.range.count * 4 }
  }

  /// Returns the model of a stage made of stored parts; nil if they do not belong to the stage.
  func snapshot(stage index: Int, _ parts: [(name: String, weights: Data)]) -> Snapshot? {
    guard (1...stages).contains(index) else { return nil }
    let stage = stage(index)
    let known = storedParts(of: stage)
    guard parts.map(\.name) == known.map(\.name),
      zip(parts, known).allSatisfy({ $0.weights.count == $1.range.count * 4 })
    else { return nil }
    let count = stage.model.parts.count
    return Snapshot(
      stage, parts: parts.prefix(count).map(\.weights), waiting: Array(parts.dropFirst(count)))
  }
}

/// Moves commits from SQLite's write-ahead log into the database while the rounds continue. For layers of megabytes
/// this takes longer than writing a round's rows.
final class Checkpoints: Sendable {
  private let path: String
  private let log: String
  private let configuration: Configuration
  private let queue = OperationQueue()

  /// The size of the log in bytes from which a checkpoint is worthwhile.
  private static let worthwhile = 16 << 20

  /// - Parameters:
  ///   - log: the path of the write-ahead log.
  ///   - configuration: the configuration of the connections to the database.
  init(_ path: String, log: String, _ configuration: Configuration) {
    (self.path, self.log, self.configuration) = (path, log, configuration)
    queue.maxConcurrentOperationCount = 1
  }

  /// Begins a checkpoint if the log has grown. If it fails, a later checkpoint or SQLite's automatic one on commit does
  /// its work, and a failure of the latter is reported.
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
