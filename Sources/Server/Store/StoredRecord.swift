import Foundation
import GRDB

/// A row of the server's database.
package protocol StoredRecord: Codable, FetchableRecord, MutablePersistableRecord {}

extension StoredRecord {
  package static func databaseDateEncodingStrategy(for column: String) -> DatabaseDateEncodingStrategy {
    .custom { $0.stored }
  }
}

extension Date {
  /// As GRDB stores dates and reads them: "2026-11-24 09:30:00.125", in UTC. GRDB has a DateFormatter write them, which
  /// takes 8 MB of ICU's tables into a server's memory.
  package var stored: String {
    let milliseconds = Int((timeIntervalSince1970 * 1000).rounded())
    var (seconds, parts) = (time_t((Double(milliseconds) / 1000).rounded(.down)), tm())
    gmtime_r(&seconds, &parts)
    func digits(_ number: Int32, _ count: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(count - text.utf8.count, 0)) + text
    }
    let day = [digits(parts.tm_year + 1900, 4), digits(parts.tm_mon + 1, 2), digits(parts.tm_mday, 2)]
    let time = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { digits($0, 2) }
    return day.joined(separator: "-") + " " + time.joined(separator: ":") + "."
      + digits(Int32(milliseconds - 1000 * Int(seconds)), 3)
  }
}
