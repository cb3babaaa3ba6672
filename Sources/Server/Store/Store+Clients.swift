import Certificates
import Engine
import Federation
import Foundation
import GRDB
import Support

/// Who took part and what their connections carried, and what is worth no wait for the disk.
extension Store {
  /// Clients that a database remembers: where no certificate proves a name, names are whatever a peer says.
  private static let mostClients = 100_000

  /// Whether a client of a name may join: it is known, or there is room for another.
  func hasRoom(for name: String) throws(StoreError) -> Bool {
    try read { db in
      if try ClientRecord.exists(db, key: name) { return true }
      return try ClientRecord.fetchCount(db) < Self.mostClients
    }
  }

  /// Notes that a client has joined.
  package func join(_ hello: Hello, at now: Date) throws(StoreError) {
    // No answer waits for the disk: a client whose row a power cut takes says hello again after it.
    try write(awaited: false) { db in
      let known = try ClientRecord.fetchOne(db, key: hello.name)
      var client =
        known
        ?? ClientRecord(name: hello.name, software: hello.software, firstSeen: now, lastSeen: now)
      (client.software, client.lastSeen) = (hello.software, now)
      try client.save(db)
    }
  }

  /// Adds to clients' traffic, in bytes.
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

  /// Notes what the server does.
  package func note(_ status: ServerStatus) throws(StoreError) {
    try write(awaited: false) { db in
      let text = String(decoding: try JSON.stored(status), as: UTF8.self)
      try db.execute(sql: "INSERT OR REPLACE INTO status (id, status) VALUES (1, ?)", arguments: [text])
    }
  }

  /// Adds metrics that were measured of a committed round.
  package func note(_ metrics: RoundMetrics, of round: RoundRecord) throws(StoreError) {
    try write(awaited: false) { try Self.add(metrics, of: round, to: $0) }
  }
}

/// A second copy of the list of revoked certificates: a backup of the folder that is put back alone brings none of them
/// to life.
extension Store {
  /// Those of an authority, which is named by its serial number, in the order in which they were added.
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

  /// Adds to them. They survive a power cut from now on.
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
  /// What the database knows of revoked certificates of an authority. Throws ``StoreError``.
  package func revocations(of authority: String) throws(StoreError) -> [CertificateFolder.Revocation] {
    try read { db in
      guard try db.tableExists("revocations") else { return [] }
      return try Store.revocations(db, of: authority)
    }
  }
}
