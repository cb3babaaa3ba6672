import Engine
import Federation
import Foundation
import GRDB

/// A job: one plan, run once.
package struct JobRecord: StoredRecord, Sendable {
  package static let databaseTableName = "jobs"
  package var id: Int64?
  package var name: String
  package var plan: String
  package var startedAt: Date
  package var finishedAt: Date?
  /// Digest of the file that the encoder starts from, once it was read.
  package var initial: String?

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }

  /// The plan that it was begun with. Throws ``PlanError``, which calls it `name`, where this version cannot read it.
  package func readPlan(named name: String = "its plan") throws(PlanError) -> Plan {
    try Plan(yaml: Self.withPresentNames(plan), file: name)
  }

  /// A stored plan, a field a line, in which the fields have the names of this version (CHANGELOG.md), and a ResNet none
  /// of a transformer.
  private static func withPresentNames(_ yaml: String) -> String {
    let names = [
      "roster": "minimumClients", "spare": "overSelection", "mostSamples": "maxSamples",
      "patience": "timeout",
      "late": "stragglers",
    ]
    let isResNet = yaml.contains("\n  family: resnet\n")
    let lines = yaml.split(separator: "\n", omittingEmptySubsequences: false).compactMap { line -> String? in
      guard let field = line.wholeMatch(of: /\ \ (\w+): (.*)/) else { return String(line) }
      let key = String(field.1)
      if isResNet && ["patch", "heads", "mlpRatio"].contains(key) { return nil }
      guard let name = names[key] else { return String(line) }
      return "  \(name): \(key == "late" && field.2 == "refuse" ? "reject" : field.2)"
    }
    return lines.joined(separator: "\n")
  }
}

/// A stage of a job.
package struct StageRecord: StoredRecord, Sendable {
  package static let databaseTableName = "stages"
  package var id: Int64?
  package var jobId: Int64
  /// Counted from 1.
  package var number: Int
  /// Blocks of the stage's model.
  package var depth: Int
  package var startedAt: Date
  package var finishedAt: Date?

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}

/// An attempt at a round.
package struct RoundRecord: StoredRecord, Measured, Sendable {
  package static let databaseTableName = "rounds"
  package var id: Int64?
  package var stageId: Int64
  /// Counted from 1 in each stage.
  package var number: Int
  package var attempt: Int
  package var startedAt: Date
  package var finishedAt: Date?
  /// `committed`, `abandoned`, or nil while it runs.
  package var outcome: String?
  package var reason: String?
  /// The clients' samples, as they count.
  package var samples: Int?
  /// From the moment when clients were asked to train to the commit; in a round that was under way when the server was
  /// started, when they were asked again.
  package var seconds: Double?
  /// Seconds before that, in which it waited for clients; nil while it waits.
  package var waited: Double?
  /// What followed it, once it is committed (``Decision``); nil of a round that an older version committed.
  package var decision: Decision?
  /// In a table of their own.
  package var metrics = RoundMetrics()

  private enum CodingKeys: String, CodingKey {
    case id, stageId, number, attempt, startedAt, finishedAt, outcome, reason, samples, seconds, waited,
      decision
  }

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}

/// A layer as a round left it.
package struct LayerRecord: StoredRecord, Sendable {
  package static let databaseTableName = "layers"
  package var id: Int64?
  package var roundId: Int64
  package var position: Int
  package var name: String
  package var digest: String

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}

/// A client that has joined at some time, with its traffic as counted at the socket.
package struct ClientRecord: StoredRecord, PersistableRecord, Sendable {
  package static let databaseTableName = "clients"
  package var name: String
  package var software: String
  package var firstSeen: Date
  package var lastSeen: Date
  /// Images behind its latest update.
  package var samples = 0
  /// From the client to the server.
  package var bytesUp = 0
  /// From the server to the client.
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
  package var digest: String
  package var rejection: String?
  package var offer: String?
  /// The samples that it counted for in a committed round, where it claimed more.
  package var counted: Int?

  private enum CodingKeys: String, CodingKey {
    case id, roundId, client, receivedAt, samples, steps, loss, bytes, seconds, digest, offer, counted
    case rejection = "refusal"
  }

  package mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}

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
