import Datasets
import Federation
import Server

extension Experiment {
  /// The analysis of layers that a run is asked for.
  package struct Analysis: Sendable, Hashable {
    package let measures: [AnalysisMeasure]
    /// The samples of the probe, 2 to ``LayerAnalysis/mostSamples``.
    package let samples: Int

    package init(_ measures: [AnalysisMeasure], samples: Int = LayerAnalysis.defaultSamples) {
      (self.measures, self.samples) = (measures, samples)
    }

    /// The options of `fedsim run`.
    var options: [String] {
      ["--analyse", measures.map(\.rawValue).joined(separator: ",")]
        + (samples == LayerAnalysis.defaultSamples ? [] : ["--analyse-samples", "\(samples)"])
    }

    /// Analyses every `interval`-th committed round of a store, counted over all stages, and the last one; with an interval
    /// of 0 the last round of each stage. Stores the metrics and the picture of the last model.
    func report(
      of store: Store, _ plan: Plan, _ test: Dataset, every interval: Int, threads: Int
    ) throws -> AnalysisReport {
      let layers = try LayerAnalysis(plan, test, measures: Set(measures), samples: samples, threads: threads)
      let committed = try store.committedRounds()
      var (rounds, picture): ([AnalysisReport.Round], RepresentationPicture?) = ([], nil)
      for (index, (stage, round)) in committed.enumerated() {
        let isLast = index + 1 == committed.count
        let isDue =
          interval > 0
          ? (index + 1) % interval == 0 : isLast || committed[index + 1].stage.number != stage.number
        guard isDue || isLast else { continue }
        let snapshot = try store.snapshot(plan, stage, round)
        if isLast, layers.measures.contains(.pca) {
          picture = layers.picture(of: snapshot)
          if let picture { try store.note(picture, of: round) }
        }
        guard layers.isByRound else { continue }
        let metrics = layers.metrics(of: snapshot)
        try store.note(metrics, of: round)
        rounds.append(
          AnalysisReport.Round(stage: stage.number, round: round.number, layers: metrics.layers))
      }
      return AnalysisReport(samples: layers.samples, rounds: rounds, representations: picture)
    }
  }
}
