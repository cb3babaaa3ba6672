import Engine
import Federation
import Foundation
import GRDB
import PageChecks
import Server
import TestSupport
import Testing
import Watch

/// Any content of a database, and any file as a database: it is shown or rejected in a line, and no process ends.
@Suite(.unhurried) struct DamagedDatabaseTests {
  /// Values of every type and size, as SQL.
  private static let values = [
    "NULL", "0", "1", "-1", "2147483648", "9007199254740993", "9223372036854775807", "-9223372036854775808",
    "0.5", "-0.0", "1e30", "3e38", "-3e38", "1e308", "-1e308", "5e-324", "9e999", "-9e999", "1e15",
    "''", "'abc'", "'nan'", "'committed'", "'abandoned'", "'1e400'", "x''", "x'00ff41'", "x'626f782d31'",
    "CAST(x'fffe41c3' AS TEXT)", "char(65534, 65535, 8238, 27, 10, 0, 7)", "'<b>\"''&'", "char(27) || '[31m'",
    "CAST(zeroblob(300) AS TEXT)", "hex(zeroblob(40000))", "hex(zeroblob(1000000))", "zeroblob(3000000)",
    "'2147483647-0-0 0:0:0.00'", "'0000-01-01 00:00:00.000'", "'9999-12-31 23:59:59.999'",
    "'2026-11-26 09:30:00.125'", "'{}'", "'[[[['", "'{\"phase\":\"training\"}'", "'name: x'",
  ]

  /// The replacements of a status field, as JSON.
  private static let fields = [
    "9223372036854775807", "-9223372036854775808", "0", "-1", "1e308", "-1e308", "5e-324", "\"x\"",
    "\"training\"", "\"failed\"", "null", "[]", "[1, 2]", #"{"client": "a", "reason": "b", "until": 1e300}"#,
    #"[{"client": "a", "activity": "training", "step": 9223372036854775807, "steps": -9223372036854775808}]"#,
    #"[{"client": "device-1", "reason": "<\u001b[31m\ufffe", "until": -1e300, "rounds": -9223372036854775808}]"#,
  ]

  @Test func anythingInACellIsShownOrRejectedInALine() async throws {
    let seed = UInt64.random(in: 0..<(1 << 40))
    var numbers = RandomNumbers(seed)
    try await withMadeRun(clients: ["device-1", "device-2", "device-10"]) { run in
      let folder = URL(fileURLWithPath: run.path).deletingLastPathComponent()
      var (shown, rejected) = (0, 0)
      for trial in 0..<300 {
        let copy = folder.appendingPathComponent("\(trial).sqlite").path
        try FileManager.default.copyItem(atPath: run.path, toPath: copy)
        let what: String
        switch trial % 10 {
        case 0..<7: what = try Self.overwriteCells(of: copy, &numbers)
        case 7: what = try Self.overwriteStatus(of: copy, &numbers)
        default: what = try Self.overwriteBytes(of: copy, &numbers)
        }
        // Marks the database as used by a server.
        try FileManager.default.createDirectory(
          atPath: copy + "-spool", withIntermediateDirectories: true)
        let lock = try DatabaseLock(copy)
        let place = Comment(rawValue: "seed \(seed), trial \(trial): \(what)")
        if try await look(at: copy, run, place) { shown += 1 } else { rejected += 1 }
        // A server started with it continues, or reports why it cannot.
        do { _ = try JobEngine(run.plan, store: try Store(copy), at: .zero).advance(at: .zero) } catch {
          #expect("\(error)".count < 800, place)
        }
        lock.release()
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path)
        where name.hasPrefix("\(trial).sqlite") {
          try FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
      }
      // Otherwise the test would be meaningless.
      #expect(shown > 30 && rejected > 30, "seed \(seed): \(shown) shown, \(rejected) rejected")
    }
  }

  /// Runs all readers of a database. Returns whether it was shown.
  private func look(at path: String, _ run: MadeRun, _ place: Comment) async throws -> Bool {
    _ = try attempt(place) { try CommittedModel(in: path) }
    _ = try attempt(place) { try CommittedModel(in: path, stage: 1, round: 1) }
    _ = try attempt(place) { try History(path).status()?.missing(naming: 3) }
    guard let history = try attempt(place, { try History(path) }) else { return false }
    let here = ["device-1", "device-2"].map {
      ConnectedClient(
        name: $0, received: .max, sent: 5, silence: .seconds(1), activity: .sending, update: (.max, 7))
    }
    let site = Site(MetricsSnapshot(history, run.plan, patience: Unhurried.limit) { here })
    var statuses: Set<Int> = []
    for asked in ["/", "/metrics", "/api/overview", "/api/rounds", "/api/clients", "/api/layers"] {
      let answer = await site.answer(try WebRequest(Data("GET \(asked) HTTP/1.1\r\nHost: localhost".utf8)))
      statuses.insert(answer.status.rawValue)
      guard answer.status == .ok else { continue }
      let text = String(decoding: answer.body, as: UTF8.self)
      switch asked {
      case "/": _ = try wellFormed(text, place)
      case "/metrics": #expect(text.hasSuffix("\n"), place)
      default: #expect(throws: Never.self, place) { try JSONSerialization.jsonObject(with: answer.body) }
      }
    }
    #expect(statuses.count == 1, place)
    guard let job = try attempt(place, { try history.job() }) ?? nil else { return false }
    let plan = try attempt(place) { try Overview.plan(of: job) }
    for plan in [plan, run.plan].compactMap(\.self) {
      for connected in [nil, here] {
        let overview = Overview(job, plan, connected: connected, at: Date())
        _ = try wellFormed(ReportPage(overview, plan: job.job.plan).html, place)
      }
    }
    return true
  }

  private func wellFormed(_ html: String, _ place: Comment) throws -> MarkupCheck {
    do { return try MarkupCheck.parse(html) } catch {
      Issue.record(error, place)
      throw error
    }
  }

  /// Returns the result; nil if it was rejected in one line without control characters.
  private func attempt<Result>(_ place: Comment, _ body: () throws -> Result) throws -> Result? {
    do { return try body() } catch let error as StoreError {
      let text = error.description
      #expect(!text.isEmpty && text.count < 800, place)
      #expect(!text.unicodeScalars.contains { $0.properties.generalCategory == .control }, place)
      return nil
    }
  }

  // MARK: - Damage

  private static func overwriteCells(of path: String, _ numbers: inout RandomNumbers) throws -> String {
    var configuration = Configuration()
    configuration.foreignKeysEnabled = false
    let cells = (0..<Int.random(in: 1...4, using: &numbers)).map { _ in
      (UInt64.random(in: 0..<1 << 40, using: &numbers), values.randomElement(using: &numbers)!)
    }
    return try DatabaseQueue(path: path, configuration: configuration).write { db in
      let tables = try String.fetchAll(
        db,
        sql: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
      ).filter { try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM \"\($0)\"") ?? 0 > 0 }
      return try cells.map { place, value in
        let table = tables[Int(place % UInt64(tables.count))]
        let columns = try db.columns(in: table).map(\.name)
        let column = columns[Int(place >> 8) % columns.count]
        let rows = try Int64.fetchAll(db, sql: "SELECT rowid FROM \"\(table)\"")
        let sql =
          "UPDATE OR IGNORE \"\(table)\" SET \"\(column)\" = \(value)"
          + (place % 3 == 0 ? "" : " WHERE rowid = \(rows[Int(place >> 20) % rows.count])")
        // Some columns reject some values.
        do { try db.execute(sql: sql) } catch DatabaseError.SQLITE_MISMATCH {}
        return sql
      }.joined(separator: "; ")
    }
  }

  private static func overwriteStatus(of path: String, _ numbers: inout RandomNumbers) throws -> String {
    let database = try DatabaseQueue(path: path)
    let text = try database.read { try String.fetchOne($0, sql: "SELECT status FROM status") } ?? ""
    var object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
    for key in object.keys.sorted() + ["until", "notAsked", "awaited", "awaitedCount", "trainingEnd"]
    where Int.random(in: 0..<4, using: &numbers) == 0 {
      let field = fields.randomElement(using: &numbers)!
      object[key] = try JSONSerialization.jsonObject(with: Data(field.utf8), options: [.fragmentsAllowed])
    }
    if Bool.random(using: &numbers) { object["phase"] = "training" }
    let changed = String(decoding: try JSONSerialization.data(withJSONObject: object), as: UTF8.self)
    try database.write { try $0.execute(sql: "UPDATE status SET status = ?", arguments: [changed]) }
    return changed
  }

  /// Changes or removes bytes of the file.
  private static func overwriteBytes(of path: String, _ numbers: inout RandomNumbers) throws -> String {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    if Bool.random(using: &numbers) {
      bytes = bytes.prefix(Int.random(in: 0..<bytes.count, using: &numbers))
      try bytes.write(to: URL(fileURLWithPath: path))
      return "cut to \(bytes.count) bytes"
    }
    let places = (0..<Int.random(in: 1...64, using: &numbers)).map { _ in
      (Int.random(in: 0..<bytes.count, using: &numbers), UInt8.random(in: 0...255, using: &numbers))
    }
    for (place, byte) in places { bytes[place] = byte }
    try bytes.write(to: URL(fileURLWithPath: path))
    return "bytes \(places)"
  }

  // MARK: - Cases

  /// A loss of 1e30 is a valid number, and so are monitors of 3e38.
  @Test func hugeNumbersHaveAPageAndAReport() async throws {
    try await withMadeRun { run in
      let sets = [
        "metrics SET value = 1e30", "metrics SET value = 1e308", "metrics SET value = -3e38",
        "metrics SET value = 5e-324", "metrics SET value = -9e999", "metrics SET client = 'x' || rowid",
        "metrics SET layer = 'blocks.0'", "metrics SET layer = '<script>'",
        "rounds SET seconds = -1e308, waited = 1e308 WHERE outcome = 'committed'",
        "rounds SET samples = 9223372036854775807, number = 9223372036854775807 WHERE outcome = 'committed'",
        "rounds SET seconds = 9e999 WHERE outcome = 'committed'",
      ]
      for set in sets {
        try await DatabaseQueue(path: run.path).write { db in
          try db.execute(sql: "UPDATE OR IGNORE \(set)")
          try db.execute(
            sql: "UPDATE clients SET bytesUp = 9223372036854775807, bytesDown = -9223372036854775808")
        }
        let overview = try run.overview
        _ = try MarkupCheck.parse(StatusPage(overview).html)
        let report = ReportPage(overview, plan: "").html
        _ = try MarkupCheck.parse(report)
        #expect(!report.contains(String(repeating: "0", count: 30)), "\(set)")
        #expect(Metrics(overview, ProcessUse.now).text.hasSuffix("\n"))
      }
      #expect(try run.overview.total(\.receivedBytes) == .max)
    }
  }

  /// A value longer than any that is written is not read.
  @Test func aLongTextIsRejectedUnread() async throws {
    try await withMadeRun { run in
      try await DatabaseQueue(path: run.path).write {
        try $0.execute(
          sql: "UPDATE rounds SET reason = CAST(zeroblob(40000000) AS TEXT) WHERE outcome = 'abandoned'")
      }
      let error = try #require(throws: StoreError.self) { try History(run.path).job() }
      #expect(error.description == "\(run.path): a value in it is too long")
    }
  }

  /// A value that is only longer than shown is shortened.
  @Test func aReasonIsShownAsFarAsAReasonGoes() async throws {
    try await withMadeRun { run in
      try await DatabaseQueue(path: run.path).write {
        try $0.execute(sql: "UPDATE rounds SET reason = hex(zeroblob(9000)) WHERE outcome = 'abandoned'")
      }
      #expect(try run.overview.abandonments.map(\.reason.count) == [500])
    }
  }

  /// Layers with other sizes than the plan's are rejected by their sizes.
  @Test func layersThatAreNotThePlansAreNotRead() async throws {
    try await withMadeRun { run in
      #expect(throws: Never.self) { try CommittedModel(in: run.path) }
      try await DatabaseQueue(path: run.path).write {
        try $0.execute(sql: "UPDATE weights SET bytes = zeroblob(90000000) WHERE rowid = 1")
      }
      let error = try #require(throws: StoreError.self) { try CommittedModel(in: run.path) }
      #expect(error.description.contains("do not match the plan"))
    }
  }

  /// Names that differ in the file but not in Swift: é as one character and as two.
  @Test func namesThatAreTheSameToUnicodeAreTwoClients() async throws {
    try await withMadeRun(clients: ["caf\u{E9}", "cafe\u{301}"]) { run in
      try await DatabaseQueue(path: run.path).write {
        try $0.execute(
          sql:
            """
            INSERT INTO updates (roundId, client, receivedAt, samples, steps, bytes, seconds, digest, refusal)
            SELECT roundId, ?, receivedAt, samples, steps, bytes, seconds, digest, refusal FROM updates
            WHERE refusal IS NOT NULL
            """,
          arguments: ["cafe\u{301}"])
      }
      #expect(try run.overview.clients.count == 2)
      let again = Overview(try run.recorded, run.plan, connected: [], at: Date())
      _ = try MarkupCheck.parse(StatusPage(again).html)
    }
  }
}
