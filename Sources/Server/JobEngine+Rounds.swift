import Engine
import Federation
import Foundation
import Support

/// The beginning and the end of rounds.
extension JobEngine {
  /// Handles the aggregated model, with the metrics of the clients' drift from it.
  package func finishAggregation(
    _ result: Snapshot, drift: RoundMetrics = RoundMetrics(), at now: Duration
  ) -> [Effect] {
    returning {
      guard !hasEnded else { return }
      (draft, calibrationLoss, self.drift) = (result, nil, drift)
      if result.hasDiverged(since: snapshot) { round.diverge() } else { round.finishAggregation() }
      proceed(at: now)
    }
  }

  /// Handles the calibrated model.
  package func finishCalibration(_ result: Snapshot, loss: Float, at now: Duration) -> [Effect] {
    returning {
      guard !hasEnded else { return }
      let hasDiverged = !loss.isFinite || result.hasDiverged(since: draft)
      (draft, calibrationLoss) = (result, loss)
      if hasDiverged { round.diverge() } else { round.finishCalibration() }
      proceed(at: now)
    }
  }

  /// Advances the round and performs its actions.
  func proceed(at now: Duration) {
    guard !hasEnded else { return }
    do { try perform(round.advance(to: now), at: now) } catch { return fail(error) }
    guard !hasEnded else { return }
    if round.isWaiting {
      note(.recruiting(round.key, present: round.available, needed: round.clientsNeeded))
    }
  }

  func perform(_ actions: [Round.Action], at now: Duration) throws {
    // A cohort, and any replacement in it, is stored before an assignment is sent.
    let asked = actions.compactMap { if case .assign(let client, _) = $0 { client } else { nil } }
    if !asked.isEmpty {
      roundTimes.asked = roundTimes.asked ?? now
      roundRecord.waited = roundRecord.waited ?? (now - roundTimes.begun).seconds
      lastCohort = round.cohort.sorted { $0.precedesNaturally($1) }
      try store.ask(asked, of: roundRecord)
    }
    for action in actions {
      switch action {
      case .assign(let client, _): assign(client)
      case .release(let client): send(.release(Release(key: round.key)), to: client)
      case .releaseLate(let client, let key): send(.release(Release(key: key)), to: client)
      case .aggregate:
        if let left = try lastImages() { return try endGrowth(left, at: now) }
        effects.append(.aggregate(aggregator))
      case .calibrate: effects.append(.calibrate(draft, round.key))
      case .commit: try commit(at: now)
      case .abandon(let reason): try abandon(reason, at: now)
      }
    }
  }

  private var aggregator: Aggregator {
    Aggregator(plan: plan, stages: stages, snapshot: snapshot, key: round.key, ledger: round.ledger) {
      [store, roundRecord] client throws(StoreError) in try store.update(of: client, in: roundRecord)
    }
  }

  private func assign(_ client: String) {
    let kept = plan.keptBlocks(round.key, client: client)
    // The client is asked again, so its earlier decline does not count any more.
    away[client] = nil
    let assignment = Assignment(
      key: round.key, seed: plan.trainingSeed(round.key, client: client),
      schedule: curriculum.place(of: round.key), parts: snapshot.manifest(keeping: kept),
      trained: snapshot.trained(keeping: kept).map(\.name), others: others(than: kept),
      codec: codecs[client], deltaChains: deltaChains(to: snapshot.manifest(keeping: kept), for: client))
    send(.assignment(assignment), to: client)
    // A client that lacks blocks cannot validate the model.
    validations[client] = kept.count == snapshot.stage.model.depth ? validated.map { (round.key, $0) } : nil
    note(.assigned(round.key, client: client))
  }

  /// Returns the delta chains to parts for a client, and records that it will have the parts.
  private func deltaChains(to parts: [PartVersion], for client: String) -> [DeltaChain] {
    guard let held = holdings[client] else { return [] }
    holdings[client] = held.union(parts.map(\.digest))
    return library.deltaChains(to: parts, of: snapshot, holding: held)
  }

  /// Returns the digests of the model's parts that a client's assignment omits, and of the layers that wait.
  private func others(than kept: [Int]) -> [Digest] {
    let there = Set(snapshot.manifest(keeping: kept).map(\.digest))
    return snapshot.versions.map(\.digest).filter { !there.contains($0) }
  }

  private func commit(at now: Duration) throws {
    roundRecord.finishedAt = date()
    restsPass()
    roundRecord.seconds = (now - (roundTimes.asked ?? roundTimes.begun)).seconds
    roundRecord.samples = round.ledger.samples
    roundRecord.metrics = round.ledger.metrics
    roundRecord.metrics[.calibrationLoss] = calibrationLoss.map { Double($0) }
    roundRecord.metrics.merge(drift)
    for metric in Metric.all {
      if let measure = metric.measure { roundRecord.metrics.merge(measure(draft)) }
    }
    var history = try store.history(of: job)
    history[history.count - 1].append(roundRecord.metrics)
    let decision = curriculum.next(after: round.key, history: history)
    roundRecord.decision = decision
    // Stages train different layers, so no update can be folded into the next stage.
    let late = decision == .continueStage ? round.stragglers : nil
    previous = late == nil ? nil : snapshot
    let (published, changes) = library.publish(draft, after: snapshot, round.key)
    // If the store fails, the snapshot is not used any more.
    snapshot = published
    let cut = round.ledger.cut
    if !cut.isEmpty { note(.cut(round.key, clients: cut, to: round.ledger.mostCounted)) }
    try store.commit(
      roundRecord, published, changes, counted: round.ledger.counted.filter { cut.contains($0.key) })
    if plan.method.classification != nil { validated = ValidatedModel(roundRecord, published.stage) }
    // Removes versions at which no delta chain begins any more.
    let known = library.known.union(snapshot.versions.map(\.digest))
    holdings = holdings.mapValues { $0.intersection(known) }
    failures = 0
    note(
      .committed(
        RoundSummary(
          stage: round.key.stage, round: round.key.round, seconds: roundRecord.seconds ?? 0,
          clients: round.ledger.admitted.count, samples: round.ledger.samples,
          metrics: roundRecord.metrics)))
    guard let next = plan.round(after: round.key, decision) else {
      try store.finish(job, at: date())
      note(.finished)
      return end(.success(()), Goodbye(.finished))
    }
    if decision == .beginStage { snapshot = plan.grow(snapshot, from: initial) }
    // After the last stage has begun, the initial file is not needed any more.
    if next.stage == plan.stages { initial = nil }
    try begin(next, late: late, at: now)
  }

  private func abandon(_ abandonment: Round.Abandonment, at now: Duration) throws {
    let reason = abandonment.reason(quorum: plan.round.quorum)
    roundRecord.finishedAt = date()
    try store.abandon(roundRecord, reason: reason)
    note(.abandoned(round.key, reason: reason))
    failures += 1
    guard failures < plan.round.attempts else {
      throw abandonment.isDivergence
        ? ServerError.diverged(round.key, reason: reason) : .gaveUp(round.key, reason: reason)
    }
    try begin(round.key.nextAttempt, opens: now + plan.round.pause(after: failures - 1), at: now)
  }

  /// Returns the images that a cascade has left for the round's stage at all clients if they are fewer than a batch, so
  /// that the encoder has grown as far as its data go. Returns nil if the stage goes on: also once it has a committed
  /// round, and while a connected client has never reported its images.
  private func lastImages() throws -> Int? {
    guard plan.isSelecting(stage: round.key.stage), try store.history(of: job).last?.isEmpty ?? true,
      try present.subtracting(store.participants()).isEmpty
    else { return nil }
    let left = try store.clients().reduce(0) { $0 + $1.samples }
    return left < plan.local.batch ? left : nil
  }

  /// Finishes the job with the model of the stage before.
  private func endGrowth(_ left: Int, at now: Duration) throws {
    let (stage, key) = (round.key.stage, round.key)
    roundRecord.finishedAt = date()
    try store.abandon(
      roundRecord,
      reason: "\(counted(left, "image")) remain for stage \(stage), fewer than a batch of \(plan.local.batch)"
    )
    try store.finish(job, at: date())
    guard let last = try store.lastCommitted(of: job),
      let model = plan.snapshot(stage: last.stage.number, last.parts)
    else { throw ServerError.inconsistentStore("no round before \(key)") }
    (snapshot, draft) = (model, model)
    note(.grown(key, images: left, batch: plan.local.batch))
    note(.finished)
    end(.success(()), Goodbye(.finished))
  }

  private func begin(
    _ key: RoundKey, late: Stragglers? = nil, opens: Duration? = nil, at now: Duration
  ) throws {
    away = away.filter { $0.value.until > now }
    rejections = [:]
    roundTimes = (now, nil)
    if key.stage != stageRecord.number { exhausted = [] }
    stageRecord = try store.openStage(key.stage, depth: snapshot.stage.model.depth, of: job, at: date())
    roundRecord = try store.openRound(key, of: stageRecord, at: date())
    round = Self.makeRound(
      key, plan, curriculum, stages, snapshot, needed: plan.round.cohort, missing: round.missing,
      present: present,
      away: away.mapValues(\.until), resting: exhausted.union(rests.keys), late: late, at: now, opens: opens)
    let waiting = deferred
    deferred = []
    for update in waiting { try decide(update.offer, isHere: true, fault: nil, from: update.client, at: now) }
    proceed(at: now)
  }
}

extension Round.Abandonment {
  fileprivate var isDivergence: Bool {
    switch self {
    case .updatesDiverged, .modelDiverged: true
    case .deadlinePassed, .tooFewClients, .quorumOutOfReach: false
    }
  }

  /// Returns the reason as a sentence.
  func reason(quorum: Int) -> String {
    switch self {
    case .deadlinePassed(let admitted): "the deadline passed with \(admitted) of \(quorum) updates"
    case .tooFewClients(let present):
      "only \(counted(present, "client")) connected in time for a quorum of \(quorum)"
    case .quorumOutOfReach(let admitted):
      "\(counted(admitted, "update")) admitted, and too many rejected for a quorum of \(quorum)"
    case .updatesDiverged(let count, let answers):
      "diverged: \(count) of \(counted(answers, "client")) sent numbers that are not finite, or too large"
    case .modelDiverged: "diverged: the new model has numbers that are not finite, or too large"
    }
  }
}
