import ArgumentParser
import Commands
import Datasets
import Federation
import Server

/// The options for labelled images with which the server evaluates the encoder during training.
struct ProbeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Labelled images to fit a linear classifier on the encoder's output after committed rounds; they stay on the server. (default: no probe)",
      valueName: "spec"))
  var probeData: String?

  @Option(
    help: ArgumentHelp(
      "Labelled images to test this classifier on, and in a classification each exit of the model.",
      valueName: "spec"))
  var probeTestData: String?

  @Option(
    help: ArgumentHelp(
      "Rounds from one probe to the next, counted over all stages; the last round is always probed. (default: 1)",
      valueName: "rounds"))
  var probeEvery: Int?

  @Option(
    help: ArgumentHelp(
      "Analyse the layers on the test data of the probe: a comma-separated list of \(AnalysisList.names) (docs/analysis.md). (default: no analysis)",
      valueName: "measures"), completion: .list(AnalysisMeasure.allCases.map(\.rawValue)),
    transform: AnalysisList.measures)
  var analyse: [AnalysisMeasure]?

  @Option(
    help: ArgumentHelp(
      "Rounds from one analysis to the next, counted over all stages; the last round is always analysed. (default: as --probe-every)",
      valueName: "rounds"))
  var analyseEvery: Int?

  @Option(
    help: ArgumentHelp(
      "Samples of an analysis, drawn from the test data of the probe. (default: \(LayerAnalysis.defaultSamples))",
      valueName: "n"))
  var analyseSamples: Int?

  func validate() throws {
    guard (probeData == nil) == (probeTestData == nil) else {
      throw ValidationError("--probe-data and --probe-test-data need each other")
    }
    guard probeEvery == nil || probeData != nil else {
      throw ValidationError("--probe-every needs --probe-data")
    }
    guard (1...1_000_000).contains(interval) else { throw ValidationError("--probe-every is 1 to 1000000") }
    guard analyse == nil || probeData != nil else { throw ValidationError("--analyse needs --probe-data") }
    for (name, value) in [("--analyse-every", analyseEvery), ("--analyse-samples", analyseSamples)] {
      guard value == nil || analyse != nil else { throw ValidationError("\(name) needs --analyse") }
    }
    guard analyseEvery.map((1...1_000_000).contains) ?? true else {
      throw ValidationError("--analyse-every is 1 to 1000000")
    }
    if let analyseSamples { try AnalysisList.check(samples: analyseSamples) }
  }

  /// The number of rounds between probes.
  var interval: Int { probeEvery ?? 1 }

  /// Loads the images; returns nil without a probe.
  func evaluation(_ plan: Plan, threads: Int) throws(CommandFailure) -> EncoderEvaluation? {
    guard let probeData, let probeTestData else { return nil }
    let train = try images("--probe-data", probeData, .train, plan)
    let test = try images("--probe-test-data", probeTestData, .test, plan)
    do {
      return try EncoderEvaluation(train: train, test: test, seed: plan.seed, threads: threads)
    } catch {
      throw CommandFailure(.data, "--probe-data: \(error.description)")
    }
  }

  /// Returns the evaluation of a classification's exits on the test images of a probe; nil for other objectives.
  func exits(
    _ plan: Plan, _ evaluation: EncoderEvaluation?, threads: Int
  ) throws(CommandFailure) -> ExitEvaluation? {
    guard let evaluation, plan.method.classification != nil else { return nil }
    do {
      return try ExitEvaluation(plan, evaluation.test, threads: threads)
    } catch {
      throw CommandFailure(.data, "--probe-test-data: \(error.description)")
    }
  }

  /// Returns the analysis of layers on the test images of a probe; nil without one.
  func analysis(
    _ plan: Plan, _ evaluation: EncoderEvaluation?, threads: Int
  ) throws(CommandFailure) -> Prober.Analysis? {
    guard let evaluation, let analyse else { return nil }
    do {
      let layers = try LayerAnalysis(
        plan, evaluation.test, measures: Set(analyse),
        samples: analyseSamples ?? LayerAnalysis.defaultSamples, threads: threads)
      return Prober.Analysis(layers, every: analyseEvery ?? interval)
    } catch {
      throw CommandFailure(.data, "--probe-test-data: \(error.description)")
    }
  }

  private func images(
    _ option: String, _ spec: String, _ role: DataRole, _ plan: Plan
  ) throws(CommandFailure) -> Dataset {
    let images: Dataset
    do {
      images = try DataSpec(parsing: spec).dataset(role: role, for: plan.encoder.input, strict: true)
    } catch {
      throw CommandFailure(.data, "\(option): \(error.description)")
    }
    guard images.labels != nil else {
      throw CommandFailure(.data, "\(option): \(spec): the \(images.noun)s have no labels")
    }
    return images
  }
}
