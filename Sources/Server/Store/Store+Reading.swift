import Foundation
import GRDB

/// What can be asked of a database without changing it, while a server may be using it.
extension Store {
  /// What the server of a database does or did last; nil where none has run on it. Throws ``StoreError``, also
  /// where there is no such file.
  package static func status(of path: String) throws(StoreError) -> ServerStatus? {
    try History(path).status()
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
