import Engine
import Federation
import Foundation
import GRDB
import Support

/// The evaluations of committed models: by the server on its own images, and by clients on theirs.
extension Store {
  /// Adds the evaluation of a committed round of a classification. Its confusion matrix replaces that of an earlier
  /// round.
  package func note(_ result: ExitEvaluation.Result, of round: RoundRecord) throws(StoreError) {
    try write(awaited: false) { db in
      try Self.add(result.metrics, of: round, to: db)
      try db.execute(sql: "DELETE FROM confusions")
      for cell in result.exits.last?.report.cells ?? [] {
        try db.execute(
          sql: "INSERT INTO confusions (roundId, label, predicted, count) VALUES (?, ?, ?, ?)",
          arguments: [round.id, cell.label, cell.predicted, cell.count])
      }
    }
  }

  /// Returns the confusion matrix of the last probed round; nil without one.
  static func confusion(_ db: Database) throws -> RecordedJob.Confusion? {
    guard try db.tableExists("confusions") else { return nil }
    let rows = try Row.fetchAll(
      db, sql: "SELECT * FROM confusions WHERE roundId = (SELECT MAX(roundId) FROM confusions)")
    guard let round = try rows.first?.decode(Int64.self, forColumn: "roundId") else { return nil }
    return RecordedJob.Confusion(
      round: round,
      cells: try rows.map { row in
        ClassificationReport.Cell(
          label: try row.decode(forColumn: "label"), predicted: try row.decode(forColumn: "predicted"),
          count: try row.decode(forColumn: "count"))
      })
  }

  /// Adds the picture of a committed round's representations, which replaces that of an earlier round.
  package func note(_ picture: RepresentationPicture, of round: RoundRecord) throws(StoreError) {
    let id = try round.key()
    try write(awaited: false) { db in
      let text = String(decoding: try JSON.stored(picture), as: UTF8.self)
      try db.execute(sql: "DELETE FROM pictures")
      try db.execute(sql: "INSERT INTO pictures (roundId, picture) VALUES (?, ?)", arguments: [id, text])
    }
  }

  /// Returns the picture of the last analysed round; nil without one.
  static func picture(_ db: Database) throws -> RecordedJob.Picture? {
    guard try db.tableExists("pictures"),
      let row = try Row.fetchOne(db, sql: "SELECT * FROM pictures ORDER BY roundId DESC LIMIT 1")
    else { return nil }
    let text: String = try row.decode(forColumn: "picture")
    return RecordedJob.Picture(
      round: try row.decode(forColumn: "roundId"), representations: try JSON.read(from: Data(text.utf8)))
  }

  /// Adds a client's validation of a committed round's model, and with it the values over all clients.
  ///
  /// - Parameter exits: the numbers of blocks before the exits and of images that each classifies correctly, by depth.
  func note(
    _ validation: Validation, at exits: [(depth: Int, correct: Int)], from client: String,
    of round: RoundRecord
  ) throws(StoreError) {
    guard let last = exits.last else { return }
    var metrics = RoundMetrics()
    let images = Double(validation.images)
    metrics[.validationImages, client: client] = images
    metrics[.validationBaseline, client: client] = Double(validation.majority) / images
    metrics[.validationAccuracy, client: client] = Double(last.correct) / images
    for exit in exits {
      metrics[.validationAccuracy, client: client, layer: Exit.part(exit.depth)] =
        Double(exit.correct) / images
    }
    try write(awaited: false) { db in
      try Self.add(metrics, of: round, to: db)
      try Self.add(try Self.validations(db, of: round).overClients, of: round, to: db)
    }
  }

  /// Returns the validations of a round by client, without exits.
  private static func validations(_ db: Database, of round: RoundRecord) throws -> RoundMetrics {
    let names = [Metric.validationImages, .validationBaseline, .validationAccuracy].map(\.name)
    let rows = try Row.fetchAll(
      db,
      sql: """
        SELECT client, name, value FROM metrics
        WHERE roundId = ? AND name IN (?, ?, ?) AND client IS NOT NULL AND layer IS NULL
        """, arguments: [round.id] + StatementArguments(names))
    return try rows.reduce(into: RoundMetrics()) { metrics, row in
      metrics.add(
        RoundMetrics.Row(
          name: try row.decode(forColumn: "name"), client: try row.decode(forColumn: "client"), layer: nil,
          value: try row.decode(forColumn: "value")))
    }
  }
}

extension RoundMetrics {
  /// The means of the clients' validations, weighted by their images.
  fileprivate var overClients: RoundMetrics {
    var (accuracy, baseline, images) = (0.0, 0.0, 0.0)
    for client in clients.keys.sorted() {
      guard let own = self[.validationImages, client: client] else { continue }
      images += own
      accuracy += own * (self[.validationAccuracy, client: client] ?? 0)
      baseline += own * (self[.validationBaseline, client: client] ?? 0)
    }
    var metrics = RoundMetrics()
    guard images > 0 else { return metrics }
    metrics[.validationImages] = images
    metrics[.validationAccuracy] = accuracy / images
    metrics[.validationBaseline] = baseline / images
    return metrics
  }
}
