import Engine
import Federation
import Foundation
import GRDB
import Support

/// Updates: a row for each, and a file for each that is admitted and whose round is not over.
extension Store {
  /// Counts an update whose bytes have come among those of a round.
  package func admit(
    _ offer: UpdateOffer, from client: String, to round: RoundRecord, at now: Date
  ) throws(StoreError) {
    // The row comes last: where it is, the bytes are too, but for a power cut.
    try updates.admit(offer, from: client, to: round.id ?? 0)
    try add(offer, from: client, to: round, rejection: nil, at: now)
  }

  /// Counts an update that was made here, of a client's late one, among those of a round.
  package func admit(
    _ offer: UpdateOffer, _ bytes: Data, from client: String, to round: RoundRecord, at now: Date
  ) throws(StoreError) {
    try updates.admit(bytes, from: client, to: round.id ?? 0)
    try add(offer, from: client, to: round, rejection: nil, at: now)
  }

  /// Notes that an update was rejected, whose bytes go.
  package func reject(
    _ offer: UpdateOffer, from client: String, to round: RoundRecord, _ rejection: Rejection, at now: Date
  ) throws(StoreError) {
    updates.discard(offer, from: client)
    try add(offer, from: client, to: round, rejection: rejection, at: now)
  }

  private func add(
    _ offer: UpdateOffer, from client: String, to round: RoundRecord, rejection: Rejection?, at now: Date
  ) throws(StoreError) {
    // Numbers that cannot be meant, which are rejected, say nothing to whoever reads.
    let loss = Double(offer.loss)
    let seconds = NumberBounds.seconds.contains(offer.seconds) ? offer.seconds : 0
    try write(awaited: false) { db in
      var update = UpdateRecord(
        roundId: round.id ?? 0, client: client, receivedAt: now, samples: offer.samples,
        steps: offer.steps, loss: NumberBounds.figure.contains(loss) ? loss : nil, bytes: offer.bytes,
        seconds: seconds, digest: offer.digest.description,
        rejection: rejection?.rawValue, offer: rejection == nil ? try Self.json(offer) : nil)
      try update.insert(db)
      if rejection == nil {
        try db.execute(
          sql: "UPDATE clients SET samples = ? WHERE name = ?", arguments: [offer.samples, client])
      }
    }
    deferredSync.note(rejection == nil ? updates.admitted(client, round.id ?? 0) : nil)
  }

  /// Takes back that an update was admitted: its bytes are damaged or gone.
  private func forget(_ client: String, in round: RoundRecord) throws(StoreError) {
    try write { db in
      try db.execute(
        sql: "DELETE FROM updates WHERE roundId = ? AND client = ? AND refusal IS NULL",
        arguments: [round.id, client])
    }
  }

  /// An unfinished round without the updates that a power cut has taken, of which their digests tell. They are not
  /// admitted any more. Returns whose they were.
  package func recover(_ round: inout UnfinishedRound) throws(StoreError) -> [String] {
    let id = round.record.id ?? 0
    updates.clear(but: id)
    var lost: [String] = []
    for (client, offer) in round.admitted {
      let bytes = try? updates.update(of: client, in: id).bytes()
      guard bytes.map({ Digest(of: $0) }) != offer.digest else { continue }
      try forget(client, in: round.record)
      lost.append(client)
    }
    round.admitted.removeAll { lost.contains($0.client) }
    return lost
  }

  /// Whose updates an attempt at a round has admitted, with their samples.
  package func admitted(_ key: RoundKey) throws(StoreError) -> [String: Int] {
    try read { db in
      let rows = try Row.fetchAll(
        db,
        sql: """
          SELECT updates.client, updates.samples FROM updates JOIN rounds ON rounds.id = updates.roundId
          JOIN stages ON stages.id = rounds.stageId WHERE stages.number = ? AND rounds.number = ?
          AND rounds.attempt = ? AND refusal IS NULL
          """, arguments: [key.stage, key.round, key.attempt])
      let pairs: [(String, Int)] = try rows.map {
        (try $0.decode(forColumn: "client"), try $0.decode(forColumn: "samples"))
      }
      return Dictionary(pairs) { $1 }
    }
  }

  /// Who was asked to train in an attempt at a round.
  package func asked(_ key: RoundKey) throws(StoreError) -> Set<String> {
    try read { db in
      try String.fetchSet(
        db,
        sql: """
          SELECT client FROM cohorts JOIN rounds ON rounds.id = cohorts.roundId
          JOIN stages ON stages.id = rounds.stageId WHERE stages.number = ? AND rounds.number = ?
          AND rounds.attempt = ?
          """, arguments: [key.stage, key.round, key.attempt])
    }
  }

  /// How many updates of each client a round has rejected, as far as they are recorded.
  func rejections(of round: RoundRecord) throws(StoreError) -> [String: Int] {
    try updates(of: round).reduce(into: [:]) { counts, update in
      if update.rejection != nil { counts[update.client, default: 0] += 1 }
    }
  }

  private static func json(_ offer: UpdateOffer) throws -> String {
    String(decoding: try JSON.stored(offer), as: UTF8.self)
  }

  /// The bytes of an admitted update. Throws where there is none.
  package func update(of client: String, in round: RoundRecord) throws(StoreError) -> UpdateFile {
    try updates.update(of: client, in: round.id ?? 0)
  }

  /// All updates of a round, in client order.
  package func updates(of round: RoundRecord) throws(StoreError) -> [UpdateRecord] {
    try read { db in
      try UpdateRecord.fetchAll(
        db,
        sql: """
          SELECT id, roundId, client, receivedAt, samples, steps, loss, bytes, seconds, digest, refusal,
            offer, counted FROM updates WHERE roundId = ? ORDER BY client, id
          """, arguments: [round.id])
    }
  }
}
