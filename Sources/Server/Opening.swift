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

  init(_ plan: Plan, _ store: Store, _ job: JobRecord) throws {
    guard let last = try store.lastCommitted(of: job) else {
      snapshot = plan.firstSnapshot()
      (key, after, isFinished) = (RoundKey(stage: 1, round: 1), nil, false)
      return
    }
    let done = RoundKey(stage: last.stage.number, round: last.round.number, attempt: last.round.attempt)
    let stage = plan.stage(done.stage)
    guard last.parts.map(\.name) == stage.model.parts.map(\.name),
      zip(last.parts, stage.model.parts).allSatisfy({ $0.weights.count == $1.range.count * 4 })
    else { throw ServerError.inconsistentStore("the layers of \(done) are not those of the plan") }
    let committed = Snapshot(stage, parts: last.parts.map(\.weights))
    after = done
    guard let next = plan.round(after: done) else {
      (snapshot, key, isFinished) = (committed, done, true)
      return
    }
    snapshot = next.stage > done.stage ? plan.grow(committed) : committed
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

  /// The model that the first stage starts from.
  package func firstSnapshot() -> Snapshot {
    let stage = stage(1)
    let parameters = Storage(stage.model.layout)
    Initialisation.random(stage.model, into: parameters, seed: seed)
    return Snapshot(stage, parameters)
  }

  /// The model that the next stage starts from.
  package func grow(_ below: Snapshot) -> Snapshot {
    let stage = stage(below.stage.index + 1)
    let old = Storage(below.stage.model.layout)
    below.write(into: old)
    let parameters = Storage(stage.model.layout)
    Initialisation.grow(
      stage.model, into: parameters, from: below.stage.model, old, method.initialisation,
      layersPerStage: method.layersPerStage, seed: seed)
    return Snapshot(stage, parameters)
  }
}
