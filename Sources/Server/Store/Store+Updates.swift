import Engine
import Federation
import Foundation
import GRDB
import Support

/// The updates: a row for each, and a file for each admitted one until its round is over.
extension Store {
  /// Admits an update whose bytes have arrived to a round.
  package func admit(
    _ offer: UpdateOffer, from client: String, to round: RoundRecord, at now: Date
  ) throws(StoreError) {
    // The row is last, so that its bytes exist, except after a power failure.
    try updates.admit(offer, from: client, to: try round.key())
    try add(offer, from: client, to: round, rejection: nil, at: now)
  }

  /// Admits a client's late update to a round, with bytes computed here.
  package func admit(
    _ offer: UpdateOffer, _ bytes: Data, from client: String, to round: RoundRecord, at now: Date
  ) throws(StoreError) {
    try updates.admit(bytes, from: client, to: try round.key())
    try add(offer, from: client, to: round, rejection: nil, at: now)
  }

  /// Records that an update was rejected, and deletes its bytes.
  package func reject(
    _ offer: UpdateOffer, from client: String, to round: RoundRecord, _ rejection: Rejection, at now: Date
  ) throws(StoreError) {
    updates.discard(offer, from: client)
    try add(offer, from: client, to: round, rejection: rejection, at: now)
  }

  private func add(
    _ offer: UpdateOffer, from client: String, to round: RoundRecord, rejection: Rejection?, at now: Date
  ) throws(StoreError) {
    // Implausible numbers of a rejected update are not stored.
    let loss = Double(offer.loss)
    let seconds = NumberBounds.seconds.contains(offer.seconds) ? offer.seconds : 0
    try write(awaited: false) { db in
      var update = UpdateRecord(
        roundId: try round.key(), client: client, receivedAt: now, samples: offer.samples,
        steps: offer.steps, loss: NumberBounds.figure.contains(loss) ? loss : nil, bytes: offer.bytes,
        seconds: seconds, digest: offer.digest,
        rejection: rejection?.rawValue, offer: rejection == nil ? try Self.json(offer) : nil)
      try update.insert(db)
      if rejection == nil {
        try db.execute(
          sql: "UPDATE clients SET samples = ? WHERE name = ?", arguments: [offer.samples, client])
      }
    }
    deferredSync.note(rejection == nil ? updates.admitted(client, try round.key()) : nil)
  }

  /// Removes the admission of an update whose bytes are damaged or missing.
  private func forget(_ client: String, in round: RoundRecord) throws(StoreError) {
    try write { db in
      try db.execute(
        sql: "DELETE FROM updates WHERE roundId = ? AND client = ? AND refusal IS NULL",
        arguments: [round.id, client])
    }
  }

  /// Removes the updates of an unfinished round that were lost in a power failure, as their digests show. Returns the
  /// clients of these updates.
  package func recover(_ round: inout UnfinishedRound) throws(StoreError) -> [String] {
    let id = try round.record.key()
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

  /// Returns the clients whose updates an attempt at a round has admitted, with their samples.
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

  /// Returns the clients that were asked to train in an attempt at a round.
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

  /// Returns the clients that had no images left in a round of a stage.
  func exhausted(in stage: StageRecord) throws(StoreError) -> Set<String> {
    try read { db in
      try String.fetchSet(
        db,
        sql: """
          SELECT DISTINCT client FROM updates JOIN rounds ON rounds.id = updates.roundId
          WHERE stageId = ? AND refusal IS NULL AND updates.samples = 0
          """, arguments: [stage.id])
    }
  }

  /// Returns the clients of which an update was ever admitted.
  func participants() throws(StoreError) -> Set<String> {
    try read { try String.fetchSet($0, sql: "SELECT DISTINCT client FROM updates WHERE refusal IS NULL") }
  }

  /// Returns the number of recorded rejections in a round by client.
  func rejections(of round: RoundRecord) throws(StoreError) -> [String: Int] {
    try updates(of: round).reduce(into: [:]) { counts, update in
      if update.rejection != nil { counts[update.client, default: 0] += 1 }
    }
  }

  private static func json(_ offer: UpdateOffer) throws -> String {
    String(decoding: try JSON.stored(offer), as: UTF8.self)
  }

  /// Returns the bytes of an admitted update. Throws if there is none.
  package func update(of client: String, in round: RoundRecord) throws(StoreError) -> UpdateFile {
    try updates.update(of: client, in: try round.key())
  }

  /// Returns all updates of a round, in client order.
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
