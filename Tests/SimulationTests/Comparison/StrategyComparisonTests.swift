import Datasets
import Engine
import Federation
import Foundation
import Simulation
import Support
import Synchronization
import TestSupport
import Testing

/// Real comparisons of tiny plans, with each run in a separate process.
@Suite(.unhurried) struct StrategyComparisonTests {
  /// The events of a comparison, in order.
  private final class Log: Sendable {
    private let list = Mutex<[String]>([])

    var runs: [String] { list.withLock { $0 } }

    func note(_ event: StrategyComparison.Event) {
      switch event {
      case .run(let cell, _, _, let isKnown): list.withLock { $0.append((isKnown ? "= " : "") + cell.name) }
      case .measuring(let variant): list.withLock { $0.append("memory \(variant.name)") }
      default: break
      }
    }
  }

  private static func settings(_ plan: Plan = .tiny(), out: URL) throws -> StrategyComparison.Settings {
    // The commands are in the folder of the test bundle.
    let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    return StrategyComparison.Settings(
      plan: plan, strategies: [.layerWise, .endToEnd], objectives: [.simclr], seeds: [7], clients: 2,
      data: try DataSpec(parsing: "shapes:64"), testData: try DataSpec(parsing: "shapes:30"),
      partition: .even, out: out, cores: 2, threads: 1, executable: folder.appendingPathComponent("fedsim"),
      command: "fedsim compare")
  }

  private static func withFolder(_ body: (URL) async throws -> Void) async throws {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    try await body(out)
  }

  private static func run(_ settings: StrategyComparison.Settings) async throws -> (
    ComparisonReport, [String]
  ) {
    let log = Log()
    let report = try await StrategyComparison(settings, observer: log.note).run()
    return (report, log.runs)
  }

  @Test func whatIsFinishedIsNotRunAgain() async throws {
    try await Self.withFolder { out in
      var settings = try Self.settings(out: out)
      settings.probeEvery = 1
      let (first, runs) = try await Self.run(settings)
      let cells = ["layer-wise-simclr-7", "end-to-end-simclr-7", "centralised-simclr-7"]
      let memory = ["memory layer-wise-simclr", "memory end-to-end-simclr", "memory centralised-simclr"]
      #expect(runs == cells + memory)
      #expect(first.failures.isEmpty && first.rows.allSatisfy { $0.finished == 1 })
      #expect(first.rows.map(\.memoryByStage.count) == [2, 1, 1])
      #expect(first.rows.allSatisfy { $0.probes.count == 2 && $0.rounds.count == 2 })
      for row in first.rows { #expect((row.figures[.memory]?.mean ?? 0) > 1e6) }

      // Without permission to resume it changes nothing.
      await #expect(throws: ComparisonError.self) { _ = try await Self.run(settings) }
      settings.resumes = true
      let (again, known) = try await Self.run(settings)
      #expect(known == cells.map { "= \($0)" })
      #expect(try again.json() == first.json())

      // A run that was interrupted has no note, and one without a complete summary is not finished either.
      try FileManager.default.removeItem(at: out.appendingPathComponent("layer-wise-simclr-7/cell.json"))
      try Data("{\"rounds\":".utf8).write(to: out.appendingPathComponent("centralised-simclr-7/summary.json"))
      let (mended, half) = try await Self.run(settings)
      #expect(half == [cells[0], "= \(cells[1])", cells[2]])
      #expect(mended.rows.map { $0.figures[.linearProbe] } == first.rows.map { $0.figures[.linearProbe] })

      // Another seed is another run; other options mean another run with the same name.
      settings.seeds = [7, 8]
      let (both, more) = try await Self.run(settings)
      #expect(more == cells.map { "= \($0)" } + cells.map { $0.dropLast() + "8" })
      #expect(both.rows.allSatisfy { $0.finished == 2 && $0.figures[.seconds]?.deviation != nil })
      (settings.seeds, settings.probeEvery) = ([7], 2)
      #expect(try await Self.run(settings).1 == cells)
      settings.analysis = Experiment.Analysis([.hsic, .pca], samples: 12)
      let (analysed, other) = try await Self.run(settings)
      #expect(other == cells && analysed.rows.allSatisfy { $0.analysis?.samples == 12 })
      #expect(analysed.rows.allSatisfy { $0.analysis?.representations?.points.count == 30 })
    }
  }

  /// Clients with too little memory give up; the baseline has no limit.
  @Test func aRunThatFailsDoesNotStopTheOthers() async throws {
    try await Self.withFolder { out in
      var plan = Plan.tiny()
      plan.local.memory = ByteCount(bytes: 100_000)
      let (report, runs) = try await Self.run(try Self.settings(plan, out: out))
      #expect(runs.count == 6, "\(runs)")
      #expect(report.rows.map(\.finished) == [0, 0, 1])
      #expect(
        report.failures.count == 4 && report.failures.allSatisfy { $0.code == 10 }, "\(report.failures)")
      let first = try #require(report.failures.first)
      #expect(first.name == "layer-wise-simclr-7" && first.reason.contains("memory"), "\(first)")
      #expect(!first.reason.contains("\n") && !first.reason.hasPrefix("fedsim"))
      try report.write(to: out)
      let text = try String(contentsOf: out.appendingPathComponent("compare.txt"), encoding: .utf8)
      #expect(text.contains("end-to-end, simclr (failed)") && text.contains("(exit code 10)"))
    }
  }

  @Test func whatCannotBeRunIsRejectedBefore() async throws {
    let out = URL(fileURLWithPath: "/nowhere")
    let cohort = #expect(throws: ComparisonError.self) {
      try StrategyComparison(try Self.settings(.tiny(cohort: 3), out: out)) { _ in }
    }
    #expect(cohort?.description == "the plan's cohort is 3, but there are 2 clients")
    var plan = Plan.tiny()
    plan.round.deadline = TimeSpan(milliseconds: 0)
    let rejected = #expect(throws: ComparisonError.self) {
      try StrategyComparison(try Self.settings(plan, out: out)) { _ in }
    }
    #expect(rejected?.description.hasPrefix("the plan with layer-wise, simclr: round.deadline: ") == true)
    var settings = try Self.settings(out: out)
    settings.data = try DataSpec(parsing: "folder:/nowhere")
    await #expect(throws: DatasetError.self) { _ = try await Self.run(settings) }
  }

  @Test func aStoppedComparisonGoesOnLater() async throws {
    try await Self.withFolder { out in
      var settings = try Self.settings(.tiny(rounds: 100_000), out: out)
      settings.strategies = [.layerWise]
      let comparison = try StrategyComparison(settings) { _ in }
      let running = Task { try await comparison.run() }
      let folder = out.appendingPathComponent("layer-wise-simclr-7")
      while !FileManager.default.fileExists(atPath: folder.appendingPathComponent("strata.sqlite").path) {
        try await Task.sleep(for: .milliseconds(10))
      }
      running.cancel()
      await #expect(throws: CancellationError.self) { _ = try await running.value }
      #expect(comparison.cells.allSatisfy { $0.record == nil })
      (settings.plan, settings.resumes) = (.tiny(), true)
      #expect(try await Self.run(settings).0.failures.isEmpty)
    }
  }
}
