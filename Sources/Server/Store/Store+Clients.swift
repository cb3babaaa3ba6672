import Certificates
import Engine
import Federation
import Foundation
import GRDB
import Support

/// The clients and their traffic, and other records that need not be flushed at once.
extension Store {
  /// The maximum number of clients in a database. Without certificates, peers can choose any names.
  private static let mostClients = 100_000

  /// Returns whether a client with a name may join: it is known, or the maximum is not reached.
  func hasRoom(for name: String) throws(StoreError) -> Bool {
    try read { db in
      if try ClientRecord.exists(db, key: name) { return true }
      return try ClientRecord.fetchCount(db) < Self.mostClients
    }
  }

  /// Records that a client has joined.
  package func join(_ hello: Hello, at now: Date) throws(StoreError) {
    // Not flushed at once: a client whose row a power failure loses says hello again.
    try write(awaited: false) { db in
      let known = try ClientRecord.fetchOne(db, key: hello.name)
      var client =
        known
        ?? ClientRecord(name: hello.name, software: hello.software, firstSeen: now, lastSeen: now)
      (client.software, client.lastSeen) = (hello.software, now)
      try client.save(db)
    }
  }

  /// Adds bytes to clients' traffic.
  package func addTraffic(_ traffic: [String: (up: Int, down: Int)], at now: Date) throws(StoreError) {
    try write(awaited: false) { db in
      for (client, bytes) in traffic {
        try db.execute(
          sql: """
            UPDATE clients SET bytesUp = bytesUp + ?, bytesDown = bytesDown + ?, lastSeen = ? WHERE name = ?
            """, arguments: [bytes.up, bytes.down, now.stored, client])
      }
    }
  }

  package func clients() throws(StoreError) -> [ClientRecord] {
    try read { try ClientRecord.order(Column("name")).fetchAll($0) }
  }

  /// Records the server's status.
  package func note(_ status: ServerStatus) throws(StoreError) {
    try write(awaited: false) { db in
      let text = String(decoding: try JSON.stored(status), as: UTF8.self)
      try db.execute(sql: "INSERT OR REPLACE INTO status (id, status) VALUES (1, ?)", arguments: [text])
    }
  }

  /// Adds metrics of a committed round, replacing existing values.
  package func note(_ metrics: RoundMetrics, of round: RoundRecord) throws(StoreError) {
    try write(awaited: false) { try Self.add(metrics, of: round, to: $0) }
  }
}

/// The second copy of the list of revoked certificates. Because of it, restoring only the folder from a backup does not
/// undo any revocation.
extension Store {
  /// Returns the revocations of an authority, identified by its serial number, in the order in which they were added.
  package func revocations(of authority: String) throws(StoreError) -> [CertificateFolder.Revocation] {
    try read { try Self.revocations($0, of: authority) }
  }

  static func revocations(_ db: Database, of authority: String) throws -> [CertificateFolder.Revocation] {
    let rows = try Row.fetchAll(
      db, sql: "SELECT * FROM revocations WHERE authority = ? ORDER BY rowid", arguments: [authority])
    return rows.map { row in
      CertificateFolder.Revocation(
        serial: row["serial"], name: row["name"],
        date: (row["revokedAt"] as String?).flatMap(Date.init(stored:)))
    }
  }

  /// Adds revocations, which survive a power failure from now on.
  func add(_ revocations: [CertificateFolder.Revocation], of authority: String) throws(StoreError) {
    guard !revocations.isEmpty else { return }
    try write { db in
      for one in revocations {
        try db.execute(
          sql: "INSERT OR IGNORE INTO revocations (authority, serial, name, revokedAt) VALUES (?, ?, ?, ?)",
          arguments: [authority, one.serial, one.name, one.date?.stored])
      }
    }
  }
}

extension History {
  /// Returns the revocations of an authority in the database. Throws ``StoreError``.
  package func revocations(of authority: String) throws(StoreError) -> [CertificateFolder.Revocation] {
    try read { db in
      guard try db.tableExists("revocations") else { return [] }
      return try Store.revocations(db, of: authority)
    }
  }
}
