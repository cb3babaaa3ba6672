import ArgumentParser
import Commands
import Federation
import Simulation

/// The options of a run's analysis of layers.
struct AnalysisOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Analyse the layers on the test data after each probed round, or after each stage: a comma-separated list of \(AnalysisList.names) (docs/analysis.md). (default: no analysis)",
      valueName: "measures"), completion: .list(AnalysisMeasure.allCases.map(\.rawValue)),
    transform: AnalysisList.measures)
  var analyse: [AnalysisMeasure]?

  @Option(
    help: ArgumentHelp(
      "Samples of an analysis, drawn from the test data. (default: \(LayerAnalysis.defaultSamples))",
      valueName: "n"))
  var analyseSamples: Int?

  func validate() throws {
    guard analyseSamples == nil || analyse != nil else {
      throw ValidationError("--analyse-samples needs --analyse")
    }
    if let analyseSamples { try AnalysisList.check(samples: analyseSamples) }
  }

  /// The analysis; nil for none.
  var analysis: Experiment.Analysis? {
    analyse.map { Experiment.Analysis($0, samples: analyseSamples ?? LayerAnalysis.defaultSamples) }
  }
}
