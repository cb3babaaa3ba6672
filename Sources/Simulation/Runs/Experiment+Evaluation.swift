import Client
import Datasets
import Engine
import Federation
import Foundation
import Server
import Support

/// The evaluation of the trained model and of its rounds.
extension Experiment {
  func evaluate(
    _ checkpoint: EncoderCheckpoint, _ train: Dataset, _ test: Dataset?
  ) async throws -> Summary.Evaluation? {
    guard let test, !plan.isRegression else { return nil }
    return try await TrainingThread.abandonable("evaluation") { [observer, plan, settings] in
      let evaluation = try EncoderEvaluation(
        train: train, test: test, fineTuningEpochs: settings.fineTuningEpochs, seed: plan.seed,
        threads: settings.cores)
      func accuracies(_ checkpoint: EncoderCheckpoint) throws -> EncoderEvaluation.Accuracies {
        observer(.evaluating)
        return try evaluation.accuracies(of: checkpoint) { observer(.fineTuning(step: $0, of: $1)) }
      }
      return Summary.Evaluation(
        trained: try accuracies(checkpoint), untrained: try accuracies(plan.untrained()))
    }
  }

  /// Evaluates the exits of a classification on the test images after the last round, and stores the result.
  func classify(
    _ snapshot: Snapshot, _ test: Dataset?, _ store: Store
  ) async throws -> ExitEvaluation.Result? {
    guard let test, plan.method.classification != nil else { return nil }
    observer(.evaluating)
    let result = try await TrainingThread.abandonable("evaluation") { [plan, settings] in
      try ExitEvaluation(plan, test, threads: settings.cores).result(of: snapshot, plan.augmentation)
    }
    if let last = try store.committedRounds().last { try store.note(result, of: last.round) }
    return result
  }

  /// Evaluates the model of a regression on all rows.
  func evaluateRegression(
    _ snapshot: Snapshot, _ train: Dataset, _ test: Dataset?
  ) async throws -> RegressionEvaluation? {
    guard plan.isRegression, case .rows(let rows) = train else { return nil }
    var others: FeatureRows?
    if case .rows(let test)? = test { others = test }
    observer(.evaluating)
    return try await TrainingThread.abandonable("evaluation") { [plan, settings, others] in
      RegressionEvaluation(
        trained: snapshot, untrained: plan.firstSnapshot(), rows, others, threads: settings.cores)
    }
  }

  /// Returns the account of a partitioned graph; nil for other examples. If the results are evaluated, it has the accuracy
  /// of a classification's last exit on each client's own test nodes, classified on its own part.
  func graph(
    _ snapshot: Snapshot, _ examples: Dataset, _ parts: [[Int]], isEvaluated: Bool
  ) async throws -> GraphAccount? {
    guard case .nodes(let set) = examples else { return nil }
    var account = GraphAccount(edges: LostEdges(of: set.graph, among: parts), nodes: set.count)
    // In the inductive setting no client has test nodes.
    guard isEvaluated, plan.method.classification != nil, !set.split.test.isEmpty else { return account }
    observer(.evaluating)
    account.ownAccuracy = try await TrainingThread.abandonable("evaluation") { [plan, settings] in
      var (right, all) = (0.0, 0)
      for part in set.subsets(parts) where !part.split.test.isEmpty {
        let result = try ExitEvaluation(plan, .nodes(part), threads: settings.cores)
          .result(of: snapshot, plan.augmentation)
        right += (result.exits.last?.report.accuracy ?? 0) * Double(part.split.test.count)
        all += part.split.test.count
      }
      return all == 0 ? nil : right / Double(all)
    }
    return account
  }

  /// Writes metrics.csv and, if they are wanted, TensorBoard's events.
  func writeFigures(of summary: Summary) throws {
    guard let job = try History(database.path).job() else { return }
    var figures = JobFigures(job)
    figures.add(nil, summary.figures.map { ($0.rawValue, $1) })
    try Data(figures.csv.utf8).write(
      to: settings.out.appendingPathComponent("metrics.csv"), options: .atomic)
    if let events = settings.events { try figures.writeEvents(to: events) }
  }

  /// Analyses the layers of committed models, and stores the results as the server does.
  func analyse(_ store: Store, _ test: Dataset?) async throws -> AnalysisReport? {
    guard let analysis = settings.analysis, let test else { return nil }
    observer(.evaluating)
    return try await TrainingThread.abandonable("evaluation") { [plan, settings] in
      try analysis.report(of: store, plan, test, every: settings.probeEvery, threads: settings.cores)
    }
  }

  /// Takes the linear probes of committed rounds, and stores them beside that of the untrained encoder.
  func probeRounds(
    of store: Store, _ train: Dataset, _ test: Dataset?, untrained: Double?
  ) async throws -> [RoundProbe]? {
    guard settings.probeEvery > 0, let test, !plan.isRegression else { return nil }
    observer(.evaluating)
    return try await TrainingThread.abandonable("evaluation") { [plan, settings] in
      let evaluation = try EncoderEvaluation(
        train: train, test: test, seed: plan.seed, threads: settings.cores)
      let exits =
        plan.method.classification == nil ? nil : try ExitEvaluation(plan, test, threads: settings.cores)
      return try RoundProbe.all(of: store, plan, every: settings.probeEvery, untrained: untrained) {
        (
          try evaluation.linearProbe(of: EncoderCheckpoint($0, plan.augmentation)),
          exits?.result(of: $0, plan.augmentation)
        )
      }
    }
  }
}

/// The linear probe of the encoder after a round; in a classification also the accuracy of the last exit.
package struct RoundProbe: Sendable, Hashable, Codable {
  package let stage: Int
  /// The round, counted from 1 in each stage.
  package let round: Int
  /// The accuracy, 0 … 1.
  package let linearProbe: Double
  /// The accuracy of the last exit and of always predicting the most frequent class; nil for other objectives.
  package let accuracy, majorityBaseline: Double?

  package init(
    stage: Int, round: Int, linearProbe: Double, accuracy: Double? = nil, majorityBaseline: Double? = nil
  ) {
    (self.stage, self.round, self.linearProbe) = (stage, round, linearProbe)
    (self.accuracy, self.majorityBaseline) = (accuracy, majorityBaseline)
  }

  /// Probes every `interval`-th committed round of a store, counted over all stages, and the last one. Stores the
  /// results as the server does.
  static func all(
    of store: Store, _ plan: Plan, every interval: Int, untrained: Double?,
    _ measure: (Snapshot) throws -> (probe: Double, exits: ExitEvaluation.Result?)
  ) throws -> [RoundProbe] {
    let committed = try store.committedRounds()
    var probes: [RoundProbe] = []
    for (index, (stage, round)) in committed.enumerated() {
      guard (index + 1) % interval == 0 || index + 1 == committed.count else { continue }
      let snapshot = try store.snapshot(plan, stage, round)
      let (probe, exits) = try measure(snapshot)
      var metrics = RoundMetrics()
      metrics[.probe] = probe
      metrics[.untrainedProbe] = untrained
      try store.note(metrics, of: round)
      if let exits { try store.note(exits, of: round) }
      let last = exits?.exits.last?.report
      probes.append(
        RoundProbe(
          stage: stage.number, round: round.number, linearProbe: probe, accuracy: last?.accuracy,
          majorityBaseline: last?.majorityBaseline))
    }
    return probes
  }
}
