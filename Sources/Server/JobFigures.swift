import Federation
import Foundation
import Support

/// The figures of a job, one a row: of its rounds, their layers and clients, of clients over the whole job, and of an
/// evaluation. Other software reads them as CSV or as TensorBoard's events (docs/python.md).
package struct JobFigures: Sendable {
  package struct Row: Sendable, Hashable {
    /// The round; nil for a figure of the whole job.
    package let round: RoundKey?
    package let client, layer: String?
    /// The name of a ``Metric`` or of another figure.
    package let name: String
    package let value: Double
    /// The number of rounds up to this one, and the end of the round; of the whole job those of its last round.
    package let step: Int
    package let time: Date
  }

  package private(set) var rows: [Row] = []
  private var last = (step: 0, time: Date(timeIntervalSince1970: 0))

  /// The number of rounds.
  package var rounds: Int { last.step }

  /// Takes the figures of the committed rounds and of the clients.
  package init(_ job: RecordedJob) {
    last.time = job.job.startedAt.bounded
    for attempt in job.attempts where attempt.record.outcome == .committed {
      let record = attempt.record
      last = (last.step + 1, (record.finishedAt ?? record.startedAt).bounded)
      let key = RoundKey(stage: attempt.stage, round: record.number, attempt: record.attempt)
      add(
        key,
        [
          ("clients", Double(attempt.admitted)), ("samples", record.samples.map(Double.init)),
          ("seconds", record.seconds),
          ("waited", record.waited),
        ])
      for row in record.metrics.rows {
        add(key, client: row.client, layer: row.layer, [(row.name, row.value)])
      }
    }
    for client in job.clients {
      add(
        nil, client: client.record.name,
        [
          ("samples", Double(client.record.samples)), ("bytesUp", Double(client.record.bytesUp)),
          ("bytesDown", Double(client.record.bytesDown)), ("updates", Double(client.admitted)),
          ("rejectedUpdates", Double(client.rejected)),
        ])
    }
  }

  /// Adds figures of a round, or of the whole job; those without a finite value are omitted.
  package mutating func add(
    _ round: RoundKey?, client: String? = nil, layer: String? = nil,
    _ figures: [(name: String, value: Double?)]
  ) {
    for (name, value) in figures {
      guard let value, value.isFinite else { continue }
      rows.append(
        Row(
          round: round, client: client, layer: layer, name: name, value: value, step: last.step,
          time: last.time))
    }
  }

  /// The rows as CSV; the cells of what a row does not belong to are empty.
  package var csv: String { Self.csv(rows) }

  /// The rows of the rounds as CSV, without those of the whole job.
  package var csvOfRounds: String { Self.csv(rows.filter { $0.round != nil }) }

  private static func csv(_ rows: [Row]) -> String {
    var table = CSV(["stage", "round", "attempt", "client", "layer", "metric", "value"])
    for row in rows {
      table.append(
        [row.round?.stage, row.round?.round, row.round?.attempt].map { $0.map(String.init) }
          + [row.client, row.layer, row.name, "\(row.value)"])
    }
    return table.text
  }

  /// Writes the rows to a new file of events in a folder, which is created. Throws errors of `Foundation`.
  package func writeEvents(to folder: URL) throws {
    let file = try EventFile(in: folder)
    // A reader expects the values of a tag by step.
    for row in rows.sorted(by: { $0.step < $1.step }) {
      try file.append(row.tag, row.value, step: row.step, at: row.time)
    }
  }
}

extension JobFigures.Row {
  /// The name of the row's curve in TensorBoard, such as `round/loss`, `layers/blocks.1/accuracy`, `clients/a/loss`
  /// or `job/clients/a/bytesUp`.
  package var tag: String {
    let place = (client.map { ["clients", $0] } ?? []) + (layer.map { ["layers", $0] } ?? [])
    let start = round == nil ? ["job"] : place.isEmpty ? ["round"] : []
    return (start + place + [name]).joined(separator: "/")
  }
}
