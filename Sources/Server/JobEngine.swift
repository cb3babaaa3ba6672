import Federation
import Foundation
import Wire

/// Runs a job from its first round to its last, as a machine without threads: what happens and the time go
/// in, what follows comes out. It reads no clock and knows no sockets; live it is the coordinator's, and a
/// simulation runs the same.
///
/// What must survive is stored before an effect that tells of it is returned. A committed round survives a power cut
/// too; an admitted update does a second later, and is asked for again where it did not.
package final class JobEngine {
  /// What is to be done, in this order.
  package enum Effect: Sendable {
    case send(Message, to: String)
    /// Make one model of the admitted updates, then call ``finishAggregation(_:at:)``.
    case aggregate(Aggregator)
    /// Train the model on the server's images, then call ``finishCalibration(_:loss:at:)``.
    case calibrate(Snapshot, RoundKey)
    case note(ServerEvent)
    /// The job has ended here: done, given up, or stopped. Say goodbye to every client.
    case end(Result<Void, any Error>, Goodbye)
  }

  let plan: Plan
  let store: Store
  /// Dates of the store's records; a simulation has its own.
  let date: () -> Date
  let job: JobRecord
  /// What parts of later stages start from; nil where the plan names no file, or no stage is left to begin.
  var initial: InitialWeights?
  /// The model after the last committed round, grown for the stage under way.
  package internal(set) var snapshot: Snapshot
  /// How often clients are told to speak.
  var heartbeat = Duration.seconds(WireLimits.heartbeatSeconds)
  /// The result of the round in the making.
  var draft: Snapshot
  /// The model of the round before, as long as its late updates may come.
  var previous: Snapshot?
  /// Updates that came while their round was being closed; the next one takes them.
  var deferred: [(offer: UpdateOffer, client: String)] = []
  var calibrationLoss: Float?
  package internal(set) var round: Round
  var stageRecord: StageRecord
  var roundRecord: RoundRecord
  /// When the round began here, and when its first client was asked: dates may jump.
  var roundTimes: (begun: Duration, asked: Duration?)
  var present: Set<String> = []
  /// Who was asked to train last, in natural order.
  var lastCohort: [String] = []
  /// How each client codes its updates; who is not among them, plain.
  var codecs: [String: UpdateCodec] = [:]
  /// The delta chains to the layers of the model.
  var library: LayerLibrary
  /// Versions of layers that clients hold, as far as it is known.
  var holdings: [String: Set<Digest>] = [:]
  /// Attempts at the present round that failed since this server started.
  var failures = 0
  /// Rejections in a row by client, and for how many rounds who was rejected too often is not asked.
  var consecutiveRejections: [String: Int] = [:]
  var rests: [String: Int] = [:]
  /// Rejected offers of the round by client: the first are recorded, all are counted.
  var rejections: [String: Int] = [:]
  /// Clients that declined, why, and until when they will not train.
  var away: [String: (reason: String, until: Duration)] = [:]
  /// Effects that have not been returned yet.
  var effects: [Effect] = []
  package internal(set) var hasEnded = false

  /// Opens the plan's job in the store: at its beginning, in the round that was under way, or after the last
  /// that was committed. `folder` is where the plan's file is. Throws ``StoreError`` or ``ServerError``.
  package init(
    _ plan: Plan, store: Store, folder: URL = .currentDirectory(), at now: Duration,
    date: @escaping () -> Date = Date.init
  ) throws {
    (self.plan, self.store, self.date) = (plan, store, date)
    roundTimes = (now, nil)
    job = try store.openJob(plan, at: date())
    let opening = try Opening(plan, store, job, folder: folder)
    initial = opening.initial
    (snapshot, draft) = (opening.snapshot, opening.snapshot)
    library = LayerLibrary(plan, steps: try store.steps(), to: opening.snapshot)
    lastCohort = try store.lastCohort().sorted { $0.precedesNaturally($1) }
    stageRecord = try store.openStage(
      opening.key.stage, depth: opening.snapshot.stage.model.depth, of: job, at: date())
    if let last = opening.after { effects.append(.note(.resumed(after: last))) }
    if opening.isFinished {
      // Nothing is left to do; the round is never begun.
      roundRecord = RoundRecord(
        stageId: stageRecord.id ?? 0, number: opening.key.round, attempt: 1, startedAt: date())
      round = Self.makeRound(
        opening.key, plan, snapshot, needed: plan.round.minimumClients, present: [], at: now)
      hasEnded = true
      effects.append(.end(.success(()), Goodbye(.finished)))
      return
    }
    // A minimum beyond the cohort is waited for at the beginning of the job, and only then for long.
    let wait =
      opening.after == nil && plan.round.minimumClients > plan.round.cohort
      ? plan.round.deadline.duration : nil
    if var open = try store.openRound(of: stageRecord) {
      for client in try store.recover(&open) { effects.append(.note(.lost(client: client))) }
      roundRecord = open.record
      rejections = try store.rejections(of: open.record)
      let key = RoundKey(stage: opening.key.stage, round: open.record.number, attempt: open.record.attempt)
      round = Self.makeRound(
        key, plan, snapshot, needed: plan.round.minimumClients, wait: wait, present: [], at: now)
      if !open.cohort.isEmpty || !open.admitted.isEmpty {
        round.resume(
          cohort: open.cohort, admitted: open.admitted, rejected: open.rejected, declined: open.declined,
          at: now)
        effects.append(.note(.continued(key, admitted: open.admitted.count)))
      }
    } else {
      let attempt = try store.lastAttempt(at: opening.key.round, of: stageRecord) + 1
      let key = RoundKey(stage: opening.key.stage, round: opening.key.round, attempt: attempt)
      roundRecord = try store.openRound(key, of: stageRecord, at: date())
      round = Self.makeRound(
        key, plan, snapshot, needed: plan.round.minimumClients, wait: wait, present: [], at: now)
    }
  }

  /// The time at which ``advance(at:)`` would change something by itself; nil if only a fact can.
  package var nextDeadline: Duration? { hasEnded ? nil : round.nextDeadline }

  /// The weights of a version of the round's model; nil if it has none such.
  ///
  /// Or the bytes of a delta to it.
  package func weights(_ digest: Digest) -> Data? { snapshot.data(digest) ?? library.data(digest) }

  /// Lets time pass; the first call begins the work.
  package func advance(at now: Duration) -> [Effect] { returning { proceed(at: now) } }

  /// Ends the job's run here; the round goes on at the next start.
  package func stop() -> [Effect] {
    returning { end(.failure(CancellationError()), Goodbye(.stopping, "the server stops")) }
  }

  /// Ends the job's run here because something failed beside it.
  package func stop(because error: any Error) -> [Effect] { returning { fail(error) } }

  // MARK: - Inside

  /// What has gathered after `body`. Where the store fails, the job ends rather than answer.
  func returning(_ body: () throws -> Void) -> [Effect] {
    do { try body() } catch { fail(error) }
    defer { effects = [] }
    return effects
  }

  func send(_ message: Message, to client: String) { effects.append(.send(message, to: client)) }
  func note(_ event: ServerEvent) { effects.append(.note(event)) }

  /// What is wrong with the server's disk or network is for its operator to mend; clients come back, and are told no more
  /// of it.
  func fail(_ error: any Error) {
    let goodbye =
      switch error {
      case is StoreError: Goodbye(.stopping, "the server cannot use its database")
      case is WireError: Goodbye(.stopping, "the server cannot use its network")
      default: Goodbye(.failed, "\(error)")
      }
    end(.failure(error), goodbye)
  }

  func end(_ result: Result<Void, any Error>, _ goodbye: Goodbye) {
    guard !hasEnded else { return }
    hasEnded = true
    effects.append(.end(result, goodbye))
  }

  static func makeRound(
    _ key: RoundKey, _ plan: Plan, _ snapshot: Snapshot, needed: Int, missing: Int = 0,
    wait: Duration? = nil, present: Set<String>, away: [String: Duration] = [:], resting: Set<String> = [],
    late: Stragglers? = nil, at now: Duration, opens: Duration? = nil
  ) -> Round {
    // Between two stages the layers that train are others: nothing can be folded there.
    let isLast = key.round == plan.mostRounds(stage: key.stage)
    let model = snapshot.outline
    return Round(
      key, rules: plan.round, needed: needed, missing: missing, wait: wait,
      calibrates: plan.isCalibrated(after: key),
      expecting: { client in
        let kept = plan.keptBlocks(key, client: client)
        let bytes = model.trained(keeping: kept).reduce(0) { $0 + $1.bytes }
        let coding = plan.coding(plan.traffic.codec, key.stage, keeping: kept)
        return Round.Expectation(
          base: Snapshot.base(of: model.manifest(keeping: kept)),
          sizes: [.plain: bytes...bytes].merging([coding.codec: 1...coding.mostBytes]) { plain, _ in plain })
      },
      seed: plan.seed, present: present, away: away, resting: resting, late: late,
      waitsForStragglers: plan.round.stragglers == .fold && !isLast, at: now, opens: opens)
  }
}
