import Engine
import Federation
import Foundation

/// Where a job stands when a server starts: the model and the round to begin.
struct Opening {
  let snapshot: Snapshot
  let key: RoundKey
  /// The last committed round, where there is one.
  let after: RoundKey?
  let isFinished: Bool
  /// What parts of later stages start from.
  let initial: InitialWeights?

  /// `folder` is where the plan's file is.
  init(_ plan: Plan, _ store: Store, _ job: JobRecord, folder: URL) throws {
    let last = try store.lastCommitted(of: job)
    initial = try plan.initialWeights(in: folder, after: last?.stage.number ?? 0, store, job)
    guard let last else {
      snapshot = plan.firstSnapshot(from: initial)
      (key, after, isFinished) = (RoundKey(stage: 1, round: 1), nil, false)
      return
    }
    let done = RoundKey(stage: last.stage.number, round: last.round.number, attempt: last.round.attempt)
    guard let committed = plan.snapshot(stage: done.stage, last.parts) else {
      throw ServerError.inconsistentStore("the layers of \(done) are not those of the plan")
    }
    after = done
    // An older version left it to the number of rounds.
    let history = try store.history(of: last.stage)
    let decision =
      last.round.decision ?? plan.curriculum.next(after: done, history: history)
    guard let next = plan.round(after: done, decision) else {
      (snapshot, key, isFinished) = (committed, done, true)
      return
    }
    snapshot = next.stage > done.stage ? plan.grow(committed, from: initial) : committed
    (key, isFinished) = (next, false)
  }
}
