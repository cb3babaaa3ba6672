import Certificates
import Foundation
import GRDB

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
