import Datasets
import Federation
import Foundation
import Server
import Simulation
import TestSupport
import Testing

/// Analyses of layers in runs and comparisons.
@Suite(.unhurried) struct AnalysisRunTests {
  private func run<Result>(
    _ plan: Plan, _ measures: [AnalysisMeasure]?, every interval: Int = 0,
    _ body: (Summary, URL) throws -> Result
  ) async throws -> Result {
    let out = FileManager.default.temporaryDirectory.appendingPathComponent("strata-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: out) }
    var settings = try TinyRun.settings(plan, out: out, probe: true)
    settings.probeEvery = interval
    settings.analysis = measures.map { Experiment.Analysis($0, samples: 20) }
    return try body(try await Experiment(settings) { _ in }.run(), out)
  }

  private func places(_ summary: Summary) -> [[Int]]? {
    summary.analysis?.rounds.map { [$0.stage, $0.round] }
  }

  /// Without probes by round, each stage is analysed after its last round. A layer has values from its stage on, also in
  /// training without labels.
  @Test func everyStageIsAnalysed() async throws {
    try await run(.tiny(rounds: 2), [.hsic, .renyi]) { summary, out in
      let analysis = try #require(summary.analysis)
      #expect(places(summary) == [[1, 2], [2, 2]] && analysis.samples == 20)
      let first = analysis.rounds[0].metrics
      #expect(first[.hsicLabel, layer: "blocks.0"] != nil && first.layers["blocks.1"] == nil)
      let last = analysis.rounds[1].metrics
      #expect(
        last[.hsicInput, layer: "blocks.1"] != nil && last.pairs?.names == ["input", "blocks.0", "blocks.1"])
      #expect(analysis.representations == nil)
      let data = try Data(contentsOf: out.appendingPathComponent("summary.json"))
      #expect(try JSONDecoder().decode(Summary.self, from: data).analysis == analysis)
      let job = try #require(try History(out.appendingPathComponent("strata.sqlite").path).job())
      let stored = job.attempts.map(\.record.metrics)
      #expect(stored.map { $0[.analysisSamples] } == [nil, 20, nil, 20])
      #expect(stored[1].layers == analysis.rounds[0].layers && stored[3].layers == analysis.rounds[1].layers)
    }
  }

  @Test func probedRoundsAreAnalysed() async throws {
    try await run(.tiny(rounds: 3), AnalysisMeasure.allCases, every: 2) { summary, out in
      #expect(places(summary) == [[1, 2], [2, 1], [2, 3]])
      let picture = try #require(summary.analysis?.representations)
      // All test images, of which there are fewer than a picture has at most.
      #expect(picture.points.count == 30 && picture.labels?.count == 30)
      let job = try #require(try History(out.appendingPathComponent("strata.sqlite").path).job())
      #expect(job.picture?.representations == picture && job.picture?.round == job.attempts.last?.record.id)
    }
  }

  @Test func nobodyAskedForOne() async throws {
    try await run(.tiny(), nil) { summary, _ in #expect(summary.analysis == nil) }
    try await run(.tiny(), [.pca]) { summary, _ in
      #expect(summary.analysis?.rounds == [] && summary.analysis?.representations != nil)
    }
  }

  /// A run's model does not depend on its analysis.
  @Test func theEncoderIsTheSame() async throws {
    let with = try await run(.tiny(), [.hsic]) { summary, _ in summary.encoderDigest }
    let without = try await run(.tiny(), nil) { summary, _ in summary.encoderDigest }
    #expect(with == without)
  }
}
