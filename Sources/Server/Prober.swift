import Engine
import Federation

/// Computes the linear probe of committed rounds while the server runs, and stores it; in a classification also the
/// results of the model's exits, and where it is requested the analysis of the model's layers. Rounds do not wait for it:
/// if a probe takes longer than a round, the next one is of the latest round.
package actor Prober {
  private let plan: Plan
  private let store: Store
  private let evaluation: EncoderEvaluation
  private let exits: ExitEvaluation?
  private let interval: Int
  private let analysis: Analysis?
  private let observer: @Sendable (ServerEvent) -> Void
  private var isWanted = false
  /// The linear probe of the encoder without training, once it was taken.
  private var untrained: Double?
  private var probing: Task<Void, Never>?

  /// The analysis of layers, with the number of rounds from one to the next, at least 1.
  package struct Analysis: Sendable {
    let layers: LayerAnalysis
    let interval: Int

    package init(_ layers: LayerAnalysis, every interval: Int) {
      precondition(interval >= 1, "an analysis every \(interval) rounds")
      (self.layers, self.interval) = (layers, interval)
    }
  }

  /// - Parameters:
  ///   - evaluation: the evaluation, with images of the encoder's size.
  ///   - exits: the evaluation of a classification's exits; nil for other objectives.
  ///   - interval: the number of rounds between probes, counted over all stages, at least 1. The last round of a job is
  ///     always probed.
  ///   - analysis: the analysis of layers, whose rounds are counted likewise; nil for none.
  ///   - observer: gets ``ServerEvent/probed(_:accuracy:)``, ``ServerEvent/analysed(_:layers:samples:)`` and
  ///     ``ServerEvent/unprobed(reason:)``.
  package init(
    _ plan: Plan, _ store: Store, _ evaluation: EncoderEvaluation, exits: ExitEvaluation? = nil,
    every interval: Int, analysis: Analysis? = nil,
    observer: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) {
    precondition(interval >= 1, "a probe every \(interval) rounds")
    (self.plan, self.store, self.evaluation, self.exits) = (plan, store, evaluation, exits)
    (self.interval, self.analysis, self.observer) = (interval, analysis, observer)
  }

  /// Starts a probe if one is due after a committed round.
  package nonisolated func note() { Task { await self.begin() } }

  /// Waits until the last committed round has its probe.
  package func finish() async {
    await probing?.value
    await probe(evenIfNotDue: true)
    await analyse(isEnd: true)
  }

  private func begin() {
    isWanted = true
    guard probing == nil else { return }
    probing = Task {
      while isWanted {
        isWanted = false
        await probe(evenIfNotDue: false)
        await analyse(isEnd: false)
      }
      probing = nil
    }
  }

  private func probe(evenIfNotDue: Bool) async {
    do {
      let committed = try store.committedRounds()
      guard let (stage, round) = committed.last, round.probe == nil,
        evenIfNotDue || committed.count % interval == 0
      else { return }
      let snapshot = try store.snapshot(plan, stage, round)
      let known = untrained ?? committed.compactMap { $0.round.metrics[.untrainedProbe] }.first
      let (accuracy, result, base) = try await TrainingThread.run("probe") { [evaluation, exits, plan] in
        (
          try evaluation.linearProbe(of: EncoderCheckpoint(snapshot, plan.augmentation)),
          exits?.result(of: snapshot, plan.augmentation),
          try known ?? evaluation.linearProbe(of: plan.untrained())
        )
      }
      untrained = base
      if let result { try store.note(result, of: round) }
      // Last, because a round without it is probed again.
      var metrics = RoundMetrics()
      (metrics[.probe], metrics[.untrainedProbe]) = (accuracy, base)
      try store.note(metrics, of: round)
      observer(
        .probed(
          RoundKey(stage: stage.number, round: round.number, attempt: round.attempt), accuracy: accuracy,
          exits: result))
    } catch {
      observer(.unprobed(reason: "\(error)"))
    }
  }

  /// Analyses the layers of the last committed round if that is due or the job is at its end, where the picture of the
  /// representations follows.
  private func analyse(isEnd: Bool) async {
    guard let analysis else { return }
    do {
      let committed = try store.committedRounds()
      guard let (stage, round) = committed.last else { return }
      let isDue = isEnd || committed.count % analysis.interval == 0
      let isNew = isDue && analysis.layers.isByRound && round.metrics[.analysisSamples] == nil
      let isDrawn = isEnd && analysis.layers.measures.contains(.pca)
      guard isNew || isDrawn else { return }
      let snapshot = try store.snapshot(plan, stage, round)
      let (metrics, picture) = try await TrainingThread.run("analysis") { [layers = analysis.layers] in
        (isNew ? layers.metrics(of: snapshot) : nil, isDrawn ? layers.picture(of: snapshot) : nil)
      }
      if let picture { try store.note(picture, of: round) }
      guard let metrics else { return }
      try store.note(metrics, of: round)
      observer(
        .analysed(
          RoundKey(stage: stage.number, round: round.number, attempt: round.attempt),
          layers: snapshot.complete.stage.model.depth, samples: analysis.layers.samples))
    } catch {
      observer(.unprobed(reason: "\(error)"))
    }
  }
}
