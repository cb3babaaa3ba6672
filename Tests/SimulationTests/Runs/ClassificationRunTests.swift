import Datasets
import Engine
import Federation
import Foundation
import PageChecks
import Server
import Simulation
import TestSupport
import Testing

/// Federations that train with labels.
@Suite(.unhurried) struct ClassificationRunTests {
  private func plan(_ strategy: Strategy, rounds: Int = 1) -> Plan {
    var plan = Plan.tiny(strategy, rounds: rounds)
    (plan.method.objective, plan.method.alignment) = (.classification, 0)
    plan.method.classification = Plan.Classification(classes: .count(10), smoothing: 0.1)
    return plan
  }

  /// Each stage leaves an exit, and the round's model answers at all of them.
  @Test(arguments: [Strategy.layerWise, .progressive, .endToEnd, .headOnly])
  func everyStrategyHasItsExits(strategy: Strategy) async throws {
    let plan = plan(strategy)
    #expect(plan.problems == [])
    try await TinyRun.run(plan, probe: true) { summary, folder in
      let exits = try #require(summary.exits).exits
      #expect(exits.map(\.depth) == (strategy.hasSingleStage ? [2] : [1, 2]))
      #expect(exits.allSatisfy { $0.report.images == 30 && $0.report.confusion.count == 10 })
      let text = try String(contentsOf: folder.appendingPathComponent("report.txt"), encoding: .utf8)
      #expect(text.contains("majority class"))
    }
  }

  private func laps(_ isResNet: Bool, laps: Int = 2, rounds: Int = 1) -> Plan {
    var plan = plan(.layerWise, rounds: rounds)
    if isResNet {
      plan.encoder = EncoderConfiguration(
        ResNetConfiguration(images: ImageInput(side: 16), width: 4, depth: 2))
      plan.method.initialisation = .random
      plan.method.classification?.grid = 2
    }
    plan.method.regularisers[KineticSettings.self] = KineticSettings(tau: 0.1)
    plan.method.laps = laps
    return plan
  }

  /// A second lap trains every exit again, and is repeated to the bit.
  @Test(arguments: [false, true]) func lapsTrainTheExitsAgain(isResNet: Bool) async throws {
    let (one, two) = (laps(isResNet, laps: 1), laps(isResNet))
    #expect(two.problems == [])
    var digests: Set<String> = [try await TinyRun.summary(one).encoderDigest]
    for threads in [1, 2] {
      try await TinyRun.run(two, threads: threads, cores: threads, probe: true) { summary, _ in
        digests.insert(summary.encoderDigest)
        #expect(summary.rounds.map { [$0.stage, $0.round] } == (1...4).map { [$0, 1] })
        let exits = try #require(summary.exits).exits
        #expect(exits.map(\.depth) == [1, 2] && exits.allSatisfy { $0.report.images == 30 })
      }
    }
    #expect(digests.count == 2, "the second lap changes the encoder, and does so the same way twice")
  }

  /// The database of a run has the metrics of its probed rounds, and a comparison shows them beside the baseline.
  @Test func probesAreStoredAndCompared() async throws {
    let plan = plan(.layerWise, rounds: 2)
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    var settings = try TinyRun.settings(plan, out: out, probe: true)
    settings.probeEvery = 2
    let summary = try await Experiment(settings) { _ in }.run()
    let (exits, probes) = (try #require(summary.exits).exits, try #require(summary.probes))
    let last = try #require(exits.last?.report)
    let rounds = try Store(out.appendingPathComponent("strata.sqlite").path).committedRounds().map(\.round)
    #expect(rounds.map { $0.metrics[.accuracy] != nil } == [false, true, false, true])
    #expect(rounds.map(\.probe) == [nil, probes[0].linearProbe, nil, probes[1].linearProbe])
    let metrics = rounds[3].metrics
    #expect(metrics[.accuracy] == last.accuracy && metrics[.majorityBaseline] == last.majorityBaseline)
    #expect(exits.map { metrics[.accuracy, layer: "exits.\($0.depth)"] } == exits.map(\.report.accuracy))
    #expect(rounds[1].metrics.layers.keys.sorted() == ["exits.1"])
    #expect(probes.map(\.accuracy) == [rounds[1].metrics[.accuracy], last.accuracy])
    #expect(summary.table.contains("accuracy\n"))

    let variant = ComparisonVariant(.layerWise, .classification)
    let row = ComparisonReport.Row(variant, plan: plan, runs: [summary, summary], memory: [], failures: [])
    #expect(row.figures[.accuracy]?.mean == last.accuracy)
    #expect(row.figures[.majorityBaseline]?.mean == last.majorityBaseline)
    #expect(row.lastExit?.confusion == last.confusion.map { $0.map { 2 * $0 } }, "counted over both runs")
    let report = ComparisonReport(
      name: "labels", command: "", plan: "", clients: 2, data: "", testData: "", partition: "even",
      seeds: [7, 8], rows: [row])
    #expect(report.rows[0].comparisons[.majorityBaseline] == nil)
    let found = try MarkupCheck.parse(ComparisonPage(report).html)
    let titles = found.elements.compactMap { $0.attributes["title"] }
    for cell in last.cells {
      let words = "true \(cell.label), predicted \(cell.predicted): \(2 * cell.count) of "
      #expect(titles.contains { $0.hasPrefix(words) }, "\(words)")
    }
    #expect(found.text.contains("majority class") && found.text.contains("Accuracy of the last exit"))
    #expect(ComparisonTable.figures(of: report).headings.contains("majority %"))
  }

  @Test func labelsAreLearned() async throws {
    var plan = plan(.layerWise, rounds: 12)
    plan.local.epochs = 4
    try await TinyRun.run(plan, clients: 2, probe: true) { summary, _ in
      let (first, last) = (summary.rounds.first?.loss ?? 0, summary.rounds.last?.loss ?? 0)
      #expect(last < 0.9 * first, "\(first) to \(last)")
    }
  }

  /// The images that remain are the same on any number of threads, and their accounts are in the summary.
  @Test func aCascadeIsDeterministic() async throws {
    var plan = plan(.layerWise, rounds: 3)
    plan.method.cascade = Plan.Cascade(confidence: 0.1)
    plan.local.epochs = 4
    let (one, account) = try await TinyRun.run(plan, threads: 1, probe: true) { summary, _ in
      let early = try #require(summary.exits?.early)
      #expect(early.leaving.reduce(0, +) == 30 && early.operations > 0)
      return (summary.encoderDigest, try #require(summary.cascade))
    }
    #expect(account.stages.map(\.stage) == [1, 2])
    #expect(account.stages[0].images == ["client-0": 16, "client-1": 16])
    #expect((0..<32).contains(account.stages[1].remaining), "\(account.stages[1].images)")
    #expect(account.training > 0 && account.training < account.endToEnd)
    let (two, other) = try await TinyRun.run(plan, threads: 2) { summary, _ in
      (summary.encoderDigest, summary.cascade)
    }
    #expect(one == two && other == account)
  }

  /// A device whose data has other classes names both, before it trains.
  @Test func otherClassesEndTheRunWithBothLists() async throws {
    var plan = plan(.layerWise)
    plan.method.classification?.classes = .names(["a", "b"])
    let error = await #expect(throws: DatasetError.self) {
      try await TinyRun.run(plan, probe: true) { _, _ in }
    }
    #expect("\(error, default: "none")".contains("(a, b)"))
  }

  /// One class alone cannot be learned from.
  @Test func oneClassAloneEndsTheRun() async throws {
    try await withTemporaryFolder { folder in
      var settings = try TinyRun.settings(plan(.layerWise), out: folder.appendingPathComponent("run"))
      let images = Shapes.generate(count: 200, size: 16, channels: 3, seed: 0, role: .train)
      let first = try #require(images.labels).firstIndex(of: 0) ?? 0
      let one = images.subset([Int](repeating: first, count: 32))
      let file = folder.appendingPathComponent("data_batch_1.bin")
      var bytes = Data()
      for index in 0..<one.count {
        one.withImage(index) { image in
          // The format of CIFAR-10 has images of 32 x 32.
          bytes.append(0)
          for channel in 0..<3 {
            for pixel in 0..<1024 {
              bytes.append(image.bytes[channel * 256 + pixel / 64 * 16 + pixel % 32 / 2])
            }
          }
        }
      }
      try bytes.write(to: file)
      settings.data = try DataSpec(parsing: "cifar10:\(folder.path)")
      let run = settings
      let error = await #expect(throws: ExperimentError.self) { try await Experiment(run) { _ in }.run() }
      #expect("\(error, default: "none")".contains("all 32 images of the data are of one class"))
    }
  }
}
