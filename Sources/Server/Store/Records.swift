import Engine
import Federation
import Foundation
import GRDB

/// A job: one plan, run once.
package struct JobRecord: NumberedRecord, Sendable {
  package static let databaseTableName = "jobs"
  package var id: Int64?
  package var name: String
  package var plan: String
  package var startedAt: Date
  package var finishedAt: Date?
  /// The digest of the file with the initial weights, once it was read.
  package var initial: Digest?
  /// The digest of the learned controller's file, once it was read.
  package var controller: Digest?

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }

  /// Returns the plan of the job. Throws ``PlanError``, with `name` as the file, if this version cannot read it.
  package func readPlan(named name: String = "its plan") throws(PlanError) -> Plan {
    try Plan(yaml: Self.withPresentNames(plan), file: name)
  }

  /// Returns a stored plan, with one field per line, with the field names of this version (CHANGELOG.md) and without
  /// the fields of a transformer in a ResNet.
  private static func withPresentNames(_ yaml: String) -> String {
    let names = [
      "roster": "minimumClients", "spare": "overSelection", "mostSamples": "maxSamples",
      "patience": "timeout",
      "late": "stragglers", "ssl": "objective",
    ]
    // In the section of the method, one after the other.
    let stageEnd = [
      "curriculum": "stageEnd:\n    when", "plateauWindow": "  window",
      "plateauImprovement": "  improvement", "leastRounds": "  minimum",
    ]
    let isResNet = yaml.contains("\n  family: resnet\n")
    let lines = yaml.split(separator: "\n", omittingEmptySubsequences: false).compactMap { line -> String? in
      guard let field = line.wholeMatch(of: /\ \ (\w+): (.*)/) else { return String(line) }
      let key = String(field.1)
      if isResNet && ["patch", "heads", "mlpRatio"].contains(key) { return nil }
      guard let name = names[key] ?? stageEnd[key] else { return String(line) }
      return "  \(name): \(key == "late" && field.2 == "refuse" ? "reject" : field.2)"
    }
    return lines.joined(separator: "\n")
  }
}

/// A stage of a job.
package struct StageRecord: NumberedRecord, Sendable {
  package static let databaseTableName = "stages"
  package var id: Int64?
  package var jobId: Int64
  /// The number, counted from 1.
  package var number: Int
  /// The number of blocks in the stage's model.
  package var depth: Int
  package var startedAt: Date
  package var finishedAt: Date?

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}

/// An attempt at a round.
package struct RoundRecord: NumberedRecord, Measured, Sendable {
  package enum Outcome: String, Sendable, Codable {
    case committed, abandoned
  }

  package static let databaseTableName = "rounds"
  package var id: Int64?
  package var stageId: Int64
  /// The number, counted from 1 in each stage.
  package var number: Int
  package var attempt: Int
  package var startedAt: Date
  package var finishedAt: Date?
  /// Nil while it runs.
  package var outcome: Outcome?
  package var reason: String?
  /// The number of the clients' samples that count.
  package var samples: Int?
  /// The seconds from the first assignment to the commit; after a restart, from the first assignment after it.
  package var seconds: Double?
  /// The seconds of waiting for clients before the round; nil while it waits.
  package var waited: Double?
  /// The decision after the commit (``Decision``); nil if an older version committed the round.
  package var decision: Decision?
  /// In a table of their own.
  package var metrics = RoundMetrics()

  private enum CodingKeys: String, CodingKey {
    case id, stageId, number, attempt, startedAt, finishedAt, outcome, reason, samples, seconds, waited,
      decision
  }

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}

/// A layer after a round.
package struct LayerRecord: StoredRecord, Sendable {
  package static let databaseTableName = "layers"
  package var id: Int64?
  package var roundId: Int64
  package var position: Int
  package var name: String
  package var digest: Digest

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}

/// A client that has joined at some time, with its traffic as counted at the socket.
package struct ClientRecord: StoredRecord, PersistableRecord, Sendable {
  package static let databaseTableName = "clients"
  package var name: String
  package var software: String
  package var firstSeen: Date
  package var lastSeen: Date
  /// The number of images behind its latest update.
  package var samples = 0
  /// The bytes from the client to the server.
  package var bytesUp = 0
  /// The bytes from the server to the client.
  package var bytesDown = 0
}

/// An update, admitted or rejected.
package struct UpdateRecord: StoredRecord, Sendable {
  package static let databaseTableName = "updates"
  package var id: Int64?
  package var roundId: Int64
  package var client: String
  package var receivedAt: Date
  package var samples: Int
  package var steps: Int
  package var loss: Double?
  package var bytes: Int
  package var seconds: Double
  package var digest: Digest
  package var rejection: String?
  package var offer: String?
  /// The samples that it counted for in a committed round, if it claimed more.
  package var counted: Int?

  private enum CodingKeys: String, CodingKey {
    case id, roundId, client, receivedAt, samples, steps, loss, bytes, seconds, digest, offer, counted
    case rejection = "refusal"
  }

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}

/// A row of the server's database.
package protocol StoredRecord: Codable, FetchableRecord, MutablePersistableRecord {}

/// A record whose key the database assigns on insertion.
protocol NumberedRecord: StoredRecord {
  var id: Int64? { get }
}

extension NumberedRecord {
  /// Returns the key. Throws if the record was never inserted.
  func key() throws(StoreError) -> Int64 {
    guard let id else { throw StoreError("a record of \(Self.databaseTableName) was never stored") }
    return id
  }
}

extension StoredRecord {
  package static func databaseDateEncodingStrategy(for column: String) -> DatabaseDateEncodingStrategy {
    .custom { $0.stored }
  }

  package static func databaseDateDecodingStrategy(for column: String) -> DatabaseDateDecodingStrategy {
    .custom { String.fromDatabaseValue($0).flatMap(Date.init(stored:)) }
  }
}

extension Date {
  /// The date, or the nearest one with a year of four digits, which calendars and formats support.
  package var bounded: Date {
    Date(timeIntervalSince1970: min(max(timeIntervalSince1970, -62_135_596_800), 253_402_300_799))
  }

  /// The date in GRDB's format, "2026-11-24 09:30:00.125" in UTC. GRDB writes it with a DateFormatter and reads it with
  /// a Calendar, which takes 8 MB for ICU's tables in a server's memory.
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

  /// Reads a date in the format of ``stored``; nil for any other text.
  package init?(stored text: String) {
    let numbers = text.split { "-: .".contains($0) }.map { Int32($0) ?? -1 }
    // A year has four digits; a larger one would overflow the seconds.
    guard text.utf8.count == 23, numbers.count == 7, numbers.allSatisfy({ (0...9999).contains($0) }) else {
      return nil
    }
    var parts = tm()
    (parts.tm_year, parts.tm_mon, parts.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[3], numbers[4], numbers[5])
    let milliseconds = timegm(&parts) * 1000 + Int(numbers[6])
    self.init(timeIntervalSince1970: Double(milliseconds) / 1000)
    // Rejects dates such as the 40th day of a month.
    guard stored == text else { return nil }
  }
}
