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
@Suite(.unhurried) struct PlanComparisonTests {
  /// The events of a comparison, in order.
  private final class Log: Sendable {
    private let list = Mutex<[String]>([])

    var runs: [String] { list.withLock { $0 } }

    func note(_ event: PlanComparison.Event) {
      switch event {
      case .run(let cell, _, _, let isKnown): list.withLock { $0.append((isKnown ? "= " : "") + cell.name) }
      case .measuring(let variant): list.withLock { $0.append("memory \(variant.name)") }
      default: break
      }
    }
  }

  private static func settings(_ plan: Plan = .tiny(), out: URL) throws -> PlanComparison.Settings {
    // The commands are in the folder of the test bundle.
    let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    var settings = PlanComparison.Settings(
      plan: plan, strategies: [.layerWise, .endToEnd], objectives: [.simclr], seeds: [7],
      options: try RunOptions().set(.clients, "2"), data: try DataSpec(parsing: "shapes:64"),
      testData: try DataSpec(parsing: "shapes:30"), out: out, cores: 2, threads: 1,
      executable: folder.appendingPathComponent("fedsim"), command: "fedsim compare")
    // One run at a time, so that the order of events is known.
    settings.memory = ByteCount(bytes: 1)
    return settings
  }

  private static func withFolder(_ body: (URL) async throws -> Void) async throws {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    try await body(out)
  }

  private static func run(_ settings: PlanComparison.Settings) async throws -> (
    ComparisonReport, [String]
  ) {
    let log = Log()
    let report = try await PlanComparison(settings, observer: log.note).run()
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
      #expect(half == ["= \(cells[1])", cells[0], cells[2]])
      #expect(mended.rows.map { $0.figures[.linearProbe] } == first.rows.map { $0.figures[.linearProbe] })

      // Another seed is another run.
      settings.seeds = [7, 8]
      let (both, more) = try await Self.run(settings)
      #expect(more == cells.map { "= \($0)" } + cells.map { $0.dropLast() + "8" })
      #expect(both.rows.allSatisfy { $0.finished == 2 && $0.figures[.seconds]?.deviation != nil })
      // Whatever a later call asks for, finished runs are kept and not repeated.
      (settings.seeds, settings.probeEvery, settings.strategies) = ([7], 2, [.layerWise])
      (settings.cores, settings.fineTune) = (1, 1)
      let (kept, none) = try await Self.run(settings)
      #expect(none == ["= \(cells[0])", "= \(cells[2])"])
      #expect(kept.rows.map(\.variant) == both.rows.map(\.variant) && kept.seeds == [7, 8])
      #expect(kept.rows.map(\.values) == both.rows.map(\.values))
      settings.seeds = [9]
      settings.analysis = Experiment.Analysis([.hsic, .pca], samples: 12)
      let (analysed, _) = try await Self.run(settings)
      let those = analysed.rows.filter { $0.variant.training != .endToEnd }
      #expect(those.allSatisfy { $0.analysis?.samples == 12 })
      #expect(those.allSatisfy { $0.analysis?.representations?.points.count == 30 })
    }
  }

  /// A resumed comparison with another plan or other data is another comparison.
  @Test func aChangedPlanIsNamed() async throws {
    try await Self.withFolder { out in
      var settings = try Self.settings(out: out)
      settings.strategies = [.layerWise]
      _ = try await Self.run(settings)
      settings.resumes = true
      settings.plan.local.learningRate = 0.5
      settings.options = try settings.options.set(.partition, "dirichlet:1")
      settings.testData = try DataSpec(parsing: "shapes:31")
      let error = await #expect(throws: ComparisonError.self) { _ = try await Self.run(settings) }
      #expect(
        error?.description
          == "the comparison in the folder has other settings: local.learningRate: 0.01 there, 0.5 here; --partition: even there, dirichlet:1.0 here; --test-data: shapes:30 there, shapes:31 here"
      )
    }
  }

  /// All values of one setting with all values of another, several runs at a time; the figures do not depend on that.
  @Test func settingsAreVaried() async throws {
    try await Self.withFolder { out in
      var settings = try Self.settings(out: out.appendingPathComponent("one"))
      settings.strategies = [.layerWise]
      settings.axes = [
        try ComparisonAxis(parsing: "local.learningRate=1e-3,1e-2"),
        try ComparisonAxis(parsing: "partition=even,dirichlet:0.5"),
      ]
      settings.seeds = [7, 8]
      let (one, runs) = try await Self.run(settings)
      // The partition has no effect on the baseline.
      #expect(runs.count { !$0.hasPrefix("memory") } == 2 * (4 + 2) && one.failures.isEmpty, "\(runs)")
      #expect(
        one.rows.map(\.variant.label) == [
          "layer-wise, simclr, local.learningRate=1e-3, partition=even",
          "layer-wise, simclr, local.learningRate=1e-3, partition=dirichlet:0.5",
          "layer-wise, simclr, local.learningRate=1e-2, partition=even",
          "layer-wise, simclr, local.learningRate=1e-2, partition=dirichlet:0.5",
          "centralised, simclr, local.learningRate=1e-3", "centralised, simclr, local.learningRate=1e-2",
        ])
      // Compared with the first value of the first setting.
      #expect(
        one.rows.map(\.against) == [
          nil, nil, one.rows[0].variant.label, one.rows[1].variant.label, nil, one.rows[4].variant.label,
        ])
      let pair = try #require(one.rows[2].comparisons[.linearProbe])
      let values = (one.rows[2].values[.linearProbe] ?? [], one.rows[0].values[.linearProbe] ?? [])
      #expect(pair == PairedComparison(values.0, to: values.1) && pair.difference.count == 2)
      let folder = "layer-wise-simclr-local.learningRate=1e-3-partition=even-7"
      let plan = try String(
        contentsOf: out.appendingPathComponent("one/\(folder)/plan.yaml"), encoding: .utf8)
      #expect(plan.contains("learningRate: 0.001"), "\(plan)")

      (settings.out, settings.memory) = (out.appendingPathComponent("two"), ByteCount(bytes: .max))
      let (two, _) = try await Self.run(settings)
      // The bytes on the socket vary by a few of a message's digits.
      let costs: Set<Figure> = [.memory, .seconds, .bytesUp, .bytesDown]
      for (a, b) in zip(one.rows, two.rows) {
        #expect(a.values.filter { !costs.contains($0.key) } == b.values.filter { !costs.contains($0.key) })
      }
    }
  }

  @Test(arguments: [
    ("local.learnRate=1,2", "local.learnRate: is not a field of a plan"),
    ("local.batch=1,2", "the plan with local.batch=1: local.batch: is '1'; must be: integer 2"),
    ("partition=even,odd", "partition: "), ("clients=2,0", "clients='0': must be 1 to 10000"),
    ("dropout=1", "dropout='1': must be 0 to below 1"), ("link=fast", "link 'fast': "),
    ("seed=1,2", "--seeds"),
    ("local.batch", "is not FIELD=VALUE"), ("local.batch=2,2", "is given twice"), ("codec=", "empty value"),
    ("clients=1,2", "the plan's cohort is 2, but there is 1 client with layer-wise, simclr, clients=1"),
  ]) func aSettingThatCannotBeVaried(text: String, reason: String) throws {
    let error = #expect(throws: ComparisonError.self) {
      var settings = try Self.settings(out: URL(fileURLWithPath: "/nowhere"))
      settings.axes = [try ComparisonAxis(parsing: text)]
      _ = try PlanComparison(settings) { _ in }
    }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
  }

  @Test func aReferenceThatNoVariantHasIsNamed() throws {
    let error = #expect(throws: ComparisonError.self) {
      var settings = try Self.settings(out: URL(fileURLWithPath: "/nowhere"))
      settings.reference = try ComparisonReference(parsing: "end-to-end,local.batch=99")
      _ = try PlanComparison(settings) { _ in }
    }
    #expect(error?.description == "--against local.batch=99: no variant of the comparison has it")
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
      try PlanComparison(try Self.settings(.tiny(cohort: 3), out: out)) { _ in }
    }
    #expect(cohort?.description == "the plan's cohort is 3, but there are 2 clients")
    var plan = Plan.tiny()
    plan.round.deadline = TimeSpan(milliseconds: 0)
    let rejected = #expect(throws: ComparisonError.self) {
      try PlanComparison(try Self.settings(plan, out: out)) { _ in }
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
      let comparison = try PlanComparison(settings) { _ in }
      let running = Task { try await comparison.run() }
      let folder = out.appendingPathComponent("layer-wise-simclr-7")
      while !FileManager.default.fileExists(atPath: folder.appendingPathComponent("strata.sqlite").path) {
        try await Task.sleep(for: .milliseconds(10))
      }
      running.cancel()
      await #expect(throws: CancellationError.self) { _ = try await running.value }
      #expect(comparison.cells.allSatisfy { $0.record == nil })
      // Its rounds are there, and a changed plan cannot take them over.
      #expect(FileManager.default.fileExists(atPath: folder.appendingPathComponent("run.json").path))
      (settings.plan, settings.resumes) = (.tiny(), true)
      await #expect(throws: ComparisonError.self) { _ = try await Self.run(settings) }
    }
  }
}
