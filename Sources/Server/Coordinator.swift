import Engine
import Federation
import Foundation
import Wire

/// Leads a job from its first round to its last: the server's one actor.
///
/// It applies an event to the round, advances it, stores what came of it, and only then replies. What takes
/// long (averaging, calibration) goes on beside it and comes back as an event.
package actor Coordinator {
  private let plan: Plan
  private let store: Store
  private let job: JobRecord
  private let calibrator: Calibrator?
  private let observer: @Sendable (ServerEvent) -> Void
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant

  private var snapshot: Snapshot
  /// The result of the round in the making.
  private var draft: Snapshot
  private var calibrationLoss: Float?
  private var round: Round
  private var stageRecord: StageRecord
  private var roundRecord: RoundRecord
  private var sessions: [String: Session] = [:]
  private var accounted: [String: (up: Int, down: Int)] = [:]
  private var timer: Task<Void, Never>?
  private var ending: Result<Void, any Error>?
  private var waiter: CheckedContinuation<Void, any Error>?
  /// Attempts at the present round that failed since this server started.
  private var failures = 0

  /// Silence after which a connection may be taken over by another of its name: one heartbeat was missed.
  private static let halfOpenSilence = Duration.seconds(1.5 * Double(WireLimits.heartbeatSeconds))

  /// Opens the plan's job in the store: at its beginning, or after the last round that was committed.
  package init(
    _ plan: Plan, store: Store, threads: Int, observer: @escaping @Sendable (ServerEvent) -> Void
  ) throws {
    calibrator = try Calibrator(plan, threads: threads)
    job = try store.openJob(plan, at: Date())
    (self.plan, self.store, self.observer) = (plan, store, observer)
    start = clock.now
    let opening = try Opening(plan, store, job)
    (snapshot, draft) = (opening.snapshot, opening.snapshot)
    stageRecord = try store.openStage(
      opening.key.stage, depth: opening.snapshot.stage.model.depth, of: job, at: Date())
    let attempt = try store.lastAttempt(at: opening.key.round, of: stageRecord) + 1
    let key = RoundKey(stage: opening.key.stage, round: opening.key.round, attempt: attempt)
    if opening.isFinished {
      // Nothing is left to do; the round is never begun.
      roundRecord = RoundRecord(
        stageId: stageRecord.id ?? 0, number: key.round, attempt: attempt, startedAt: Date())
      ending = .success(())
    } else {
      roundRecord = try store.openRound(key, of: stageRecord, at: Date())
    }
    round = Self.makeRound(key, plan, snapshot, needed: plan.round.roster, present: [], at: .zero)
    if let last = opening.after { observer(.resumed(after: last)) }
  }

  /// The encoder as it is after the last committed round.
  package var current: Snapshot { snapshot }

  /// Runs the job to its end. Throws ``ServerError`` or ``StoreError`` where it cannot be finished.
  package func run() async throws {
    if ending == nil { proceed() }
    if let ending { return try ending.get() }
    try await withCheckedThrowingContinuation { waiter = $0 }
  }

  /// Ends the job's run here: clients are told that the server stops; the round goes on at the next start.
  package func stop() { end(.failure(CancellationError()), Goodbye(.stopping, "the server stops")) }

  private var now: Duration { clock.now - start }

  private static func makeRound(
    _ key: RoundKey, _ plan: Plan, _ snapshot: Snapshot, needed: Int, present: some Sequence<String>,
    at now: Duration
  ) -> Round {
    let calibrates =
      plan.method.calibration?.isDue(round: key.round, of: plan.rounds(stage: key.stage)) ?? false
    return Round(
      key, rules: plan.round, needed: needed, calibrates: calibrates,
      expecting: { client in
        let kept = plan.keptBlocks(key, client: client)
        return Round.Expectation(
          base: Snapshot.base(of: snapshot.manifest(keeping: kept)),
          bytes: snapshot.trained(keeping: kept).reduce(0) { $0 + $1.bytes })
      },
      seed: plan.seed, present: present, at: now)
  }
}

// MARK: - Clients

extension Coordinator {
  /// A client said hello. Returns the welcome, or the goodbye that turns it away.
  func join(_ hello: Hello, _ session: Session) throws -> Message {
    guard hello.protocol == Hello.currentProtocol else {
      return .goodbye(
        Goodbye(.refused, "protocol \(hello.protocol); this server speaks \(Hello.currentProtocol)"))
    }
    guard Hello.isValid(name: hello.name) else {
      return .goodbye(Goodbye(.refused, "a name is 1 to 64 letters, digits, '.', '_' or '-'"))
    }
    if let other = sessions[hello.name] {
      guard other.silence > Self.halfOpenSilence else {
        return .goodbye(Goodbye(.refused, "the name \(hello.name) is connected already"))
      }
      // The box was cut off without a word and is back before its old connection has timed out.
      other.post(.goodbye(Goodbye(.refused, "another connection has taken the name \(hello.name)")))
      leave(hello.name, other, reason: "it came back on another connection")
    }
    switch ending {
    case .success: return .goodbye(Goodbye(.finished))
    case .failure: return .goodbye(Goodbye(.stopping, "the server stops"))
    case nil: break
    }
    try guarded { try store.join(hello, at: Date()) }
    sessions[hello.name] = session
    observer(.joined(client: hello.name, peer: session.peer))
    let welcome = Welcome(
      plan: plan, heartbeatSeconds: WireLimits.heartbeatSeconds, chunkBytes: WireLimits.chunk)
    // The welcome comes first in the session's queue, and an assignment behind it.
    session.post(.welcome(welcome))
    perform(round.join(hello.name))
    proceed()
    return .heartbeat(Heartbeat())
  }

  /// A client's connection ended.
  func leave(_ client: String, _ session: Session, reason: String) {
    guard sessions[client] === session else { return }
    account(client, session)
    sessions[client] = nil
    accounted[client] = nil
    observer(.left(client: client, reason: reason))
    round.leave(client)
    proceed()
  }

  func note(_ heartbeat: Heartbeat, from client: String) {
    guard let step = heartbeat.step, let steps = heartbeat.steps else { return }
    observer(.progress(client: client, step: step, steps: steps))
  }

  /// A client will not train in a round.
  func take(_ decline: Decline, from client: String) {
    guard decline.key == round.key, round.decline(client) else { return }
    observer(.declined(decline.key, client: client, reason: String(decline.reason.prefix(200))))
    proceed()
  }

  func noteTurnedAway(_ peer: String, reason: String) { observer(.turnedAway(peer: peer, reason: reason)) }

  /// The weights of a version of the round's model; nil if it has none such.
  func weights(_ digest: Digest) -> Data? { snapshot.data(digest) }

  /// Judges an offered update by what is known without its bytes. Returns whether they are wanted; if not,
  /// the verdict is on its way.
  func consider(_ offer: UpdateOffer, from client: String) throws -> Bool {
    if round.hasAdmitted(offer, from: client) {
      acknowledge(offer, client, nil)
      return false
    }
    if let refusal = round.refusal(of: offer, from: client) {
      try refuse(offer, from: client, refusal)
      return false
    }
    sessions[client]?.post(.request(UpdateRequest(key: offer.key, digest: offer.digest)))
    return true
  }

  /// All bytes of an offered update are here, and `fault` is what is wrong with them. The verdict is sent
  /// once it is stored.
  func receive(_ offer: UpdateOffer, _ bytes: Data, fault: Refusal?, from client: String) throws {
    if round.hasAdmitted(offer, from: client) { return acknowledge(offer, client, nil) }
    if let refusal = round.refusal(of: offer, from: client) ?? fault {
      return try refuse(offer, from: client, refusal)
    }
    try guarded {
      try store.add(offer, from: client, to: roundRecord, weights: bytes, refusal: nil, at: Date())
    }
    round.admit(offer, from: client)
    observer(.admitted(round.key, client: client, offer))
    acknowledge(offer, client, nil)
    proceed()
  }

  private func refuse(_ offer: UpdateOffer, from client: String, _ refusal: Refusal) throws {
    try guarded {
      try store.add(offer, from: client, to: roundRecord, weights: nil, refusal: refusal, at: Date())
    }
    observer(.refused(offer.key, client: client, refusal))
    if offer.key == round.key { round.refuse(client) }
    acknowledge(offer, client, refusal)
    proceed()
  }

  /// The verdict goes before anything that follows from it, such as the next assignment.
  private func acknowledge(_ offer: UpdateOffer, _ client: String, _ refusal: Refusal?) {
    sessions[client]?.post(.acknowledgement(Acknowledgement(key: offer.key, refusal: refusal)))
  }

  /// Adds to the store what a client's connection has carried since the last time.
  private func account(_ client: String, _ session: Session) {
    let (up, down) = (session.traffic.received, session.traffic.sent)
    let before = accounted[client] ?? (0, 0)
    guard up > before.up || down > before.down else { return }
    accounted[client] = (up, down)
    try? guarded {
      try store.addTraffic(of: client, up: up - before.up, down: down - before.down, at: Date())
    }
  }
}

// MARK: - The round

extension Coordinator {
  /// Advances the round, does what follows, and sets the timer for what time alone will change.
  private func proceed() {
    guard ending == nil else { return }
    perform(round.advance(to: now))
    guard ending == nil else { return }
    if case .recruiting = round.phase {
      observer(
        .recruiting(round.key, present: sessions.count, needed: max(plan.round.roster, plan.round.cohort)))
    }
    timer?.cancel()
    guard let deadline = round.nextDeadline else { return }
    let instant = start + deadline
    timer = Task { [clock] in
      do { try await clock.sleep(until: instant) } catch { return }
      self.proceed()
    }
  }

  private func perform(_ actions: [Round.Action]) {
    for action in actions {
      switch action {
      case .assign(let client, let deadline): assign(client, deadline: deadline)
      case .release(let client): sessions[client]?.post(.release(Release(key: round.key)))
      case .aggregate: beside { try await self.aggregate() }
      case .calibrate: beside { try await self.calibrate() }
      case .commit: commit()
      case .abandon(let reason): abandon(reason)
      }
    }
  }

  private func assign(_ client: String, deadline: Duration) {
    let left = deadline - now
    let seconds = Double(left.components.seconds) + Double(left.components.attoseconds) * 1e-18
    let kept = plan.keptBlocks(round.key, client: client)
    sessions[client]?.post(
      .assignment(
        Assignment(
          key: round.key, seed: plan.trainingSeed(round.key, client: client), deadlineSeconds: seconds,
          parts: snapshot.manifest(keeping: kept), trained: snapshot.trained(keeping: kept).map(\.name))))
    observer(.assigned(round.key, client: client))
  }

  /// Runs work beside the actor; its failure ends the job.
  private func beside(_ work: @escaping @Sendable () async throws -> Void) {
    Task {
      do { try await work() } catch { self.fail(error) }
    }
  }

  /// Makes one model of the admitted updates.
  private func aggregate() async throws {
    let (record, store) = (roundRecord, store)
    let aggregator = Aggregator(plan: plan, snapshot: snapshot, key: round.key, ledger: round.ledger) {
      try store.weights(of: $0, in: record, bytes: $1)
    }
    draft = try await TrainingThread.run("aggregation") { try aggregator.run() }
    calibrationLoss = nil
    round.finishAggregation()
    proceed()
  }

  private func calibrate() async throws {
    guard let calibrator else { return }
    let (key, observer) = (round.key, observer)
    let (calibrated, loss) = try await calibrator.calibrate(draft, key) { step, steps in
      observer(.calibrating(key, step: step, steps: steps))
    }
    (draft, calibrationLoss) = (calibrated, loss)
    round.finishCalibration()
    proceed()
  }

  private func commit() {
    for (client, session) in sessions { account(client, session) }
    let finished = Date()
    roundRecord.finishedAt = finished
    roundRecord.seconds = finished.timeIntervalSince(roundRecord.startedAt)
    roundRecord.loss = round.ledger.loss.map { Double($0) }
    roundRecord.samples = round.ledger.samples
    roundRecord.calibrationLoss = calibrationLoss.map { Double($0) }
    roundRecord.monitors = round.ledger.monitors
    do { try store.commit(roundRecord, draft) } catch { return fail(error) }
    snapshot = draft
    failures = 0
    observer(
      .committed(
        RoundSummary(
          stage: round.key.stage, round: round.key.round, loss: roundRecord.loss ?? 0,
          calibrationLoss: roundRecord.calibrationLoss, seconds: roundRecord.seconds ?? 0,
          clients: round.ledger.admitted.count, samples: round.ledger.samples,
          monitors: roundRecord.monitors)))
    guard let next = plan.round(after: round.key) else { return finish() }
    if next.stage > round.key.stage { snapshot = plan.grow(snapshot) }
    begin(next)
  }

  private func abandon(_ abandonment: Round.Abandonment) {
    let reason =
      switch abandonment {
      case .deadlinePassed(let admitted):
        "the deadline passed with \(admitted) of \(plan.round.quorum) updates"
      case .quorumOutOfReach(let admitted):
        "\(admitted) updates were admitted and too many refused or declined for a quorum of \(plan.round.quorum)"
      }
    roundRecord.finishedAt = Date()
    do { try store.abandon(roundRecord, reason: reason) } catch { return fail(error) }
    observer(.abandoned(round.key, reason: reason))
    failures += 1
    guard failures < plan.round.attempts else {
      return fail(ServerError.gaveUp(round.key, reason: reason))
    }
    begin(round.key.nextAttempt)
  }

  private func begin(_ key: RoundKey) {
    do {
      let depth = snapshot.stage.model.depth
      stageRecord = try store.openStage(key.stage, depth: depth, of: job, at: Date())
      roundRecord = try store.openRound(key, of: stageRecord, at: Date())
    } catch {
      return fail(error)
    }
    round = Self.makeRound(
      key, plan, snapshot, needed: plan.round.cohort, present: sessions.keys, at: now)
    proceed()
  }

  private func finish() {
    do { try store.finish(job, at: Date()) } catch { return fail(error) }
    observer(.finished)
    end(.success(()), Goodbye(.finished))
  }

  private func fail(_ error: any Error) { end(.failure(error), Goodbye(.failed, "\(error)")) }

  private func end(_ result: Result<Void, any Error>, _ goodbye: Goodbye) {
    guard ending == nil else { return }
    ending = result
    timer?.cancel()
    for session in sessions.values { session.post(.goodbye(goodbye)) }
    waiter?.resume(with: result)
    waiter = nil
  }

  /// Runs what must be stored; where the store fails, the job ends rather than answer.
  private func guarded(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch {
      fail(error)
      throw error
    }
  }
}
