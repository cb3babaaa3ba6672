import Federation
import Foundation
import GRDB

/// Coded differences between versions of layers.
extension Store {
  /// Those that are kept, in the order in which they were made.
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

  /// Adds the steps that a round has made. Of each part as many as `kept` stay, the latest.
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
