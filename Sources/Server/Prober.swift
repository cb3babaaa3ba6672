import Engine
import Federation
import Foundation

/// Takes the linear probe of committed rounds beside a server at work, and stores it with them. No round waits for a
/// probe: where one takes longer than a round, the next is of the latest round.
package actor Prober {
  private let plan: Plan
  private let store: Store
  private let evaluation: EncoderEvaluation
  private let interval: Int
  private let observer: @Sendable (ServerEvent) -> Void
  private var isWanted = false
  private var probing: Task<Void, Never>?

  /// - Parameters:
  ///   - evaluation: images of the encoder's size.
  ///   - interval: every so many rounds, counted over all stages, at least 1; the last one of a job always.
  ///   - observer: hears ``ServerEvent/probed(_:accuracy:)`` and ``ServerEvent/unprobed(reason:)``.
  package init(
    _ plan: Plan, _ store: Store, _ evaluation: EncoderEvaluation, every interval: Int,
    observer: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) {
    precondition(interval >= 1, "a probe every \(interval) rounds")
    (self.plan, self.store, self.evaluation) = (plan, store, evaluation)
    (self.interval, self.observer) = (interval, observer)
  }

  /// A round was committed.
  package nonisolated func note() { Task { await self.begin() } }

  /// Returns when the last committed round has its probe.
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
      let snapshot = Snapshot(plan.stage(stage.number), parts: try store.layers(of: round).map(\.weights))
      let accuracy = try await TrainingThread.run("probe") { [evaluation, plan] in
        try evaluation.linearProbe(of: EncoderCheckpoint(snapshot, plan.augmentation))
      }
      try store.note(probe: accuracy, of: round)
      observer(
        .probed(
          RoundKey(stage: stage.number, round: round.number, attempt: round.attempt), accuracy: accuracy))
    } catch {
      observer(.unprobed(reason: "\(error)"))
    }
  }
}
