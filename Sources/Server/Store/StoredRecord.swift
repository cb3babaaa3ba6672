import Foundation
import GRDB

/// A row of the server's database.
package protocol StoredRecord: Codable, FetchableRecord, MutablePersistableRecord {}

extension StoredRecord {
  package static func databaseDateEncodingStrategy(for column: String) -> DatabaseDateEncodingStrategy {
    .custom { $0.stored }
  }

  package static func databaseDateDecodingStrategy(for column: String) -> DatabaseDateDecodingStrategy {
    .custom { String.fromDatabaseValue($0).flatMap(Date.init(stored:)) }
  }
}

extension Date {
  /// The same, or the nearest one whose year has four digits: calendars and formats are made for those.
  package var bounded: Date {
    Date(timeIntervalSince1970: min(max(timeIntervalSince1970, -62_135_596_800), 253_402_300_799))
  }

  /// As GRDB stores dates: "2026-11-24 09:30:00.125", in UTC. GRDB has a DateFormatter write them and a Calendar read
  /// them, which takes 8 MB of ICU's tables into a server's memory.
  package var stored: String {
    let milliseconds = Int((bounded.timeIntervalSince1970 * 1000).rounded())
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

  /// A date that was ``stored``; nil for any other text.
  package init?(stored text: String) {
    let numbers = text.split { "-: .".contains($0) }.map { Int32($0) ?? -1 }
    // A year has four digits: greater ones are beyond what seconds can count.
    guard text.utf8.count == 23, numbers.count == 7, numbers.allSatisfy({ (0...9999).contains($0) }) else {
      return nil
    }
    var parts = tm()
    (parts.tm_year, parts.tm_mon, parts.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[3], numbers[4], numbers[5])
    let milliseconds = timegm(&parts) * 1000 + Int(numbers[6])
    self.init(timeIntervalSince1970: Double(milliseconds) / 1000)
    // Months have no 40th day.
    guard stored == text else { return nil }
  }
}
