import Engine
import Federation

/// Computes the linear probe of committed rounds while the server runs, and stores it; in a classification also the
/// results of the model's exits. Rounds do not wait for it: if a probe takes longer than a round, the next one is of
/// the latest round.
package actor Prober {
  private let plan: Plan
  private let store: Store
  private let evaluation: EncoderEvaluation
  private let exits: ExitEvaluation?
  private let interval: Int
  private let observer: @Sendable (ServerEvent) -> Void
  private var isWanted = false
  private var probing: Task<Void, Never>?

  /// - Parameters:
  ///   - evaluation: the evaluation, with images of the encoder's size.
  ///   - exits: the evaluation of a classification's exits; nil for other objectives.
  ///   - interval: the number of rounds between probes, counted over all stages, at least 1. The last round of a job is
  ///     always probed.
  ///   - observer: gets ``ServerEvent/probed(_:accuracy:)`` and ``ServerEvent/unprobed(reason:)``.
  package init(
    _ plan: Plan, _ store: Store, _ evaluation: EncoderEvaluation, exits: ExitEvaluation? = nil,
    every interval: Int,
    observer: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) {
    precondition(interval >= 1, "a probe every \(interval) rounds")
    (self.plan, self.store, self.evaluation, self.exits) = (plan, store, evaluation, exits)
    (self.interval, self.observer) = (interval, observer)
  }

  /// Starts a probe if one is due after a committed round.
  package nonisolated func note() { Task { await self.begin() } }

  /// Waits until the last committed round has its probe.
  package func finish() async {
    await probing?.value
    await probe(evenIfNotDue: true)
  }

  private func begin() {
    isWanted = true
    guard probing == nil else { return }
    probing = Task {
      while isWanted {
        isWanted = false
        await probe(evenIfNotDue: false)
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
      let (accuracy, result) = try await TrainingThread.run("probe") { [evaluation, exits, plan] in
        (
          try evaluation.linearProbe(of: EncoderCheckpoint(snapshot, plan.augmentation)),
          exits?.result(of: snapshot, plan.augmentation)
        )
      }
      if let result { try store.note(result, of: round) }
      // Last, because a round without it is probed again.
      var metrics = RoundMetrics()
      metrics[.probe] = accuracy
      try store.note(metrics, of: round)
      observer(
        .probed(
          RoundKey(stage: stage.number, round: round.number, attempt: round.attempt), accuracy: accuracy,
          exits: result))
    } catch {
      observer(.unprobed(reason: "\(error)"))
    }
  }
}
