import Datasets
import Federation
import Foundation
import Simulation
import TestSupport
import Testing

@Suite(.unhurried) struct RoundProbeTests {
  private func summary(every interval: Int, testData: Bool = true) async throws -> Summary {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    var settings = try TinyRun.settings(.tiny(rounds: 3), out: out, probe: testData)
    settings.probeEvery = interval
    return try await Experiment(settings) { _ in }.run()
  }

  /// Rounds are counted over all stages, and the last is always included.
  @Test func probesAreTakenAfterEverySoManyRounds() async throws {
    let summary = try await summary(every: 2)
    let probes = try #require(summary.probes)
    #expect(probes.map { [$0.stage, $0.round] } == [[1, 2], [2, 1], [2, 3]])
    #expect(probes.last?.linearProbe == summary.probe?.trained, "the last round's is that of the result")
    let probed = summary.table.split(separator: "\n").filter { $0.hasSuffix(" %") && $0.hasPrefix("    ") }
    #expect(probed.count == 3, "\(summary.table)")
    #expect(try await self.summary(every: 4).probes?.map(\.round) == [1, 3])
  }

  @Test func nobodyAskedForThem() async throws {
    #expect(try await summary(every: 0).probes == nil)
    #expect(try await summary(every: 1, testData: false).probes == nil)
  }
}
