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
    guard let next = plan.round(after: done) else {
      (snapshot, key, isFinished) = (committed, done, true)
      return
    }
    snapshot = next.stage > done.stage ? plan.grow(committed, from: initial) : committed
    (key, isFinished) = (next, false)
  }
}

/// How a job moves from round to round and from stage to stage.
extension Plan {
  /// The first attempt at the round that follows; nil after the last.
  package func round(after key: RoundKey) -> RoundKey? {
    if key.round < rounds(stage: key.stage) { return RoundKey(stage: key.stage, round: key.round + 1) }
    return key.stage < stages ? RoundKey(stage: key.stage + 1, round: 1) : nil
  }

  /// The model that the first stage starts from: the parts of `initial`, and what that lacks at random.
  package func firstSnapshot(from initial: InitialWeights? = nil) -> Snapshot {
    let stage = stage(1)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    for part in stage.model.parts { initial?.write(part, of: stage.model, into: parameters) }
    return Snapshot(stage, parameters)
  }

  /// The model that the next stage starts from. Parts that are new are those of `initial`, or start as the plan's
  /// method says.
  package func grow(_ below: Snapshot, from initial: InitialWeights? = nil) -> Snapshot {
    let stage = stage(below.stage.index + 1)
    let old = Storage(below.stage.model.layout)
    below.write(into: old)
    let parameters = Storage(stage.model.layout)
    Initialisation.grow(
      stage.model, into: parameters, from: below.stage.model, old, method.initialisation,
      layersPerStage: method.layersPerStage, seed: seed)
    for part in stage.model.parts where below.stage.model.part(part.name) == nil {
      initial?.write(part, of: stage.model, into: parameters)
    }
    return Snapshot(stage, parameters)
  }
}
