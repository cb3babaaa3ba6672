import Foundation
import GRDB

/// What can be asked of a database without changing it, while a server may be using it.
extension Store {
  /// Reads a database as it is at one moment. Throws ``StoreError`` that names the file, also where there is none.
  static func reading<Result>(
    _ path: String, _ body: (Database) throws -> Result
  ) throws(StoreError) -> Result {
    guard FileManager.default.fileExists(atPath: path) else {
      throw StoreError("\(path): there is no such file")
    }
    var configuration = Configuration()
    configuration.readonly = true
    // A server that stops has the file for itself for a moment.
    configuration.busyMode = .timeout(5)
    do {
      return try DatabaseQueue(path: path, configuration: configuration).read(body)
    } catch let error as StoreError {
      throw StoreError("\(path): \(error)")
    } catch {
      throw StoreError("\(path): \(StoreError.reason(error))")
    }
  }

  /// What the server of a database does or did last; nil where none has run on it. Throws ``StoreError``, also
  /// where there is no such file.
  package static func status(of path: String) throws(StoreError) -> ServerStatus? {
    try History(path).status()
  }

  /// How many updates were refused so far, by reason.
  static func refusals(_ db: Database) throws -> [String: Int] {
    let rows = try Row.fetchAll(
      db, sql: "SELECT refusal, COUNT(*) AS count FROM updates WHERE refusal IS NOT NULL GROUP BY refusal")
    return Dictionary(uniqueKeysWithValues: rows.map { ($0["refusal"] as String, $0["count"] as Int) })
  }
}
