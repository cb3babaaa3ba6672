import Federation
import Foundation
import Simulation
import TestSupport
import Testing

/// Complete runs with clients on links.
@Suite(.unhurried) struct LinkRunTests {
  private func run(_ plan: Plan, link: String?) async throws -> (Summary, json: [String: Any]) {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    var settings = try TinyRun.settings(plan, out: out)
    settings.link = try link.map { try LinkShape(parsing: $0) }
    let summary = try await Experiment(settings) { _ in }.run()
    let data = try Data(contentsOf: out.appendingPathComponent("summary.json"))
    return (summary, try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any]))
  }

  /// A link carries the same bytes as without it, except for two numbers that are times.
  @Test func aLinkCarriesTheSameBytes() async throws {
    let plan = Plan.tiny(rounds: 2)
    let (open, _) = try await run(plan, link: nil)
    let (shaped, _) = try await run(plan, link: "50mbit,2ms")
    #expect(open.link == nil && shaped.link?.cuts == 0)
    #expect(shaped.encoderDigest == open.encoderDigest)
    // A round's deadline is sent as a number of up to 24 characters, and so are the training's seconds.
    let digits = 24 * plan.mostRounds
    for (one, other) in zip(open.clients, shaped.clients) {
      #expect(abs(one.bytesUp - other.bytesUp) <= digits, "\(one.name)")
      #expect(abs(one.bytesDown - other.bytesDown) <= digits, "\(one.name)")
    }
  }

  /// However often they are cut, the clients reconnect, and the result is bit-identical.
  @Test func aRunOutlivesItsLosses() async throws {
    let plan = Plan.tiny(rounds: 3)
    let (open, _) = try await run(plan, link: nil)
    let (shaped, json) = try await run(plan, link: "100mbit,1ms,99.9%")
    let link = try #require(shaped.link)
    #expect(link.cuts > 0)
    #expect(shaped.encoderDigest == open.encoderDigest)
    #expect(shaped.rounds.count == open.rounds.count && shaped.rounds.allSatisfy { $0.clients == 2 })
    #expect(link.rounds.map { [$0.stage, $0.round] } == shaped.rounds.map { [$0.stage, $0.round] })
    #expect(link.rounds.reduce(0) { $0 + $1.cuts } <= link.cuts)
    let report = try #require(json["link"] as? [String: Any])
    #expect(report["shape"] as? String == "100mbit,1ms,99.9%" && report["cuts"] as? Int == link.cuts)
    #expect(shaped.table.contains("\nlink             100mbit,1ms,99.9%, \(link.cuts) connections cut\n"))
  }

  /// A round takes at least the time of its bytes and delays.
  @Test func aRoundTakesAsLongAsItsLink() async throws {
    let (shaped, _) = try await run(.tiny(), link: "4mbit,10ms")
    let link = try #require(shaped.link)
    for (round, calculated) in zip(shaped.rounds, link.rounds) {
      #expect(calculated.networkSeconds > 0.05)
      // Heartbeats of the previous round may arrive after its end and count towards this one.
      #expect(round.seconds > 0.9 * calculated.networkSeconds, "\(round), \(calculated)")
    }
    let rows = shaped.table.split(separator: "\n").filter { $0.hasPrefix("    ") }
    #expect(rows.count == shaped.rounds.count)
    for (row, calculated) in zip(rows, link.rounds) {
      let seconds = String(format: "%.1f", calculated.networkSeconds)
      #expect(row.split(separator: " ").suffix(2) == [Substring(seconds), "0"], "\(row)")
    }
  }
}
