import Federation
import Foundation
import Support
import Wire

/// Runs a job from its first round to its last, as a state machine without threads. It takes events with their times
/// and returns effects. It reads no clock and uses no sockets; the coordinator and the simulation run the same code.
///
/// It stores its state before it returns an effect that reveals it. A committed round survives a power failure at once;
/// an admitted update survives it a second later, and is requested again if it is lost.
package final class JobEngine {
  /// An effect; effects must be performed in order.
  package enum Effect: Sendable {
    case send(Message, to: String)
    /// Aggregate the admitted updates, then call ``finishAggregation(_:at:)``.
    case aggregate(Aggregator)
    /// Train the model on the server's images, then call ``finishCalibration(_:loss:at:)``.
    case calibrate(Snapshot, RoundKey)
    case note(ServerEvent)
    /// The job has finished, failed or stopped. Send the goodbye to every client.
    case end(Result<Void, any Error>, Goodbye)
  }

  let plan: Plan
  let curriculum: any Curriculum
  /// The plan's stages by blocks, from which the checks of updates follow.
  let stages: PlanStages
  let store: Store
  /// Returns the date for the store's records; a simulation provides its own.
  let date: () -> Date
  let job: JobRecord
  /// The initial weights of parts in later stages; nil if the plan has no file, or the last stage has begun.
  var initial: InitialWeights?
  /// The model after the last committed round, grown for the current stage.
  package internal(set) var snapshot: Snapshot
  /// The interval at which clients must send heartbeats.
  var heartbeat = Duration.seconds(WireLimits.heartbeatSeconds)
  /// The result of the current round before it is committed.
  var draft: Snapshot
  /// The model of the previous round, as long as its late updates may arrive.
  var previous: Snapshot?
  /// The updates that arrived while their round was being closed, for the next round.
  var deferred: [(offer: UpdateOffer, client: String)] = []
  var calibrationLoss: Float?
  /// The drift of the clients whose updates are in the draft.
  var drift = RoundMetrics()
  package internal(set) var round: Round
  var stageRecord: StageRecord
  var roundRecord: RoundRecord
  /// When the round began on this server, and when its first client was asked; unlike dates, these never jump.
  var roundTimes: (begun: Duration, asked: Duration?)
  var present: Set<String> = []
  /// The clients asked to train last, in natural order.
  var lastCohort: [String] = []
  /// The codec of each client's updates; plain for all others.
  var codecs: [String: UpdateCodec] = [:]
  /// The delta chains to the layers of the model.
  var library: LayerLibrary
  /// The layer versions that clients are known to hold.
  var holdings: [String: Set<Digest>] = [:]
  /// The failed attempts at the current round since this server started.
  var failures = 0
  /// The consecutive rejections by client, and the remaining rounds of resting clients.
  var consecutiveRejections: [String: Int] = [:]
  var rests: [String: Int] = [:]
  /// The rejected offers in the round by client; the first are stored, all are counted.
  var rejections: [String: Int] = [:]
  /// The clients without images left for the stage of a cascade; they are asked only if the others are no quorum.
  var exhausted: Set<String> = []
  /// The clients that declined, with the reason and the end of their absence.
  var away: [String: (reason: String, until: Duration)] = [:]
  /// The model that the clients of the current round have, if it is that of a committed round of a classification.
  var validated: ValidatedModel?
  /// The validations that clients may send, one for each assignment.
  var validations: [String: (key: RoundKey, model: ValidatedModel)] = [:]
  /// The effects that have not been returned yet.
  var effects: [Effect] = []
  package internal(set) var hasEnded = false

  /// Opens the plan's job in the store: at its beginning, in its unfinished round, or after its last committed round.
  /// `folder` is the folder of the plan's file. Throws ``StoreError`` or ``ServerError``.
  package init(
    _ plan: Plan, store: Store, folder: URL = .currentDirectory(), at now: Duration,
    date: @escaping () -> Date = Date.init
  ) throws {
    (self.plan, self.store, self.date) = (plan, store, date)
    stages = PlanStages(plan)
    roundTimes = (now, nil)
    job = try store.openJob(plan, at: date())
    let opening = try Opening(plan, store, job, folder: folder)
    (initial, curriculum) = (opening.initial, opening.curriculum)
    (snapshot, draft) = (opening.snapshot, opening.snapshot)
    library = LayerLibrary(plan, steps: try store.steps(), to: opening.snapshot)
    lastCohort = try store.lastCohort().sorted { $0.precedesNaturally($1) }
    stageRecord = try store.openStage(
      opening.key.stage, depth: opening.snapshot.stage.model.depth, of: job, at: date())
    if let last = opening.after {
      effects.append(.note(.resumed(after: last)))
      if plan.method.classification != nil, let round = try store.lastCommittedRound() {
        validated = ValidatedModel(round, plan.stage(last.stage))
      }
    }
    if opening.isFinished {
      // Nothing is left to do; the round never begins.
      roundRecord = RoundRecord(
        stageId: try stageRecord.key(), number: opening.key.round, attempt: 1, startedAt: date())
      round = Self.makeRound(
        opening.key, plan, curriculum, stages, snapshot, needed: plan.round.minimumClients, present: [],
        at: now)
      hasEnded = true
      effects.append(.end(.success(()), Goodbye(.finished)))
      return
    }
    // A minimum beyond the cohort applies only at the beginning of the job.
    let wait =
      opening.after == nil && plan.round.minimumClients > plan.round.cohort
      ? plan.round.deadline.duration : nil
    exhausted = try store.exhausted(in: stageRecord)
    if var open = try store.openRound(of: stageRecord) {
      for client in try store.recover(&open) { effects.append(.note(.lost(client: client))) }
      roundRecord = open.record
      rejections = try store.rejections(of: open.record)
      let key = RoundKey(stage: opening.key.stage, round: open.record.number, attempt: open.record.attempt)
      round = Self.makeRound(
        key, plan, curriculum, stages, snapshot, needed: plan.round.minimumClients, wait: wait, present: [],
        resting: exhausted, at: now)
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
        key, plan, curriculum, stages, snapshot, needed: plan.round.minimumClients, wait: wait, present: [],
        resting: exhausted, at: now)
    }
  }

  /// The time at which ``advance(at:)`` has an effect without another event; nil if there is none.
  package var nextDeadline: Duration? { hasEnded ? nil : round.nextDeadline }

  /// Returns the weights of a version of the round's model, or the bytes of a delta to it; nil if there is none.
  package func weights(_ digest: Digest) -> Data? { snapshot.data(digest) ?? library.data(digest) }

  /// Advances the time; the first call starts the work.
  package func advance(at now: Duration) -> [Effect] { returning { proceed(at: now) } }

  /// Stops the job on this server; the round continues at the next start.
  package func stop() -> [Effect] {
    returning { end(.failure(CancellationError()), Goodbye(.stopping, "the server stops")) }
  }

  /// Stops the job on this server because of a failure outside the job engine.
  package func stop(because error: any Error) -> [Effect] { returning { fail(error) } }

  // MARK: - Implementation

  /// Returns the effects of `body`. If the store fails, the job ends without an answer.
  func returning(_ body: () throws -> Void) -> [Effect] {
    do { try body() } catch { fail(error) }
    defer { effects = [] }
    return effects
  }

  func send(_ message: Message, to client: String) { effects.append(.send(message, to: client)) }
  func note(_ event: ServerEvent) { effects.append(.note(event)) }

  /// Ends the job with an error. Clients get no details of a failure of the server's disk or network, which only its
  /// operator can repair, and try again later.
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
    _ key: RoundKey, _ plan: Plan, _ curriculum: any Curriculum, _ stages: PlanStages, _ snapshot: Snapshot,
    needed: Int, missing: Int = 0,
    wait: Duration? = nil, present: Set<String>, away: [String: Duration] = [:], resting: Set<String> = [],
    late: Stragglers? = nil, at now: Duration, opens: Duration? = nil
  ) -> Round {
    // Stages train different layers, so no update can be folded into the next stage.
    let isLast = key.round == curriculum.mostRounds(stage: key.stage)
    let model = snapshot.outline
    let expectations = Memo<[Int], Round.Expectation>(limit: 64) { kept in
      let coding = stages.coding(plan.traffic.codec, key, keeping: kept)
      let bytes = stages.coding(.plain, key, keeping: kept).mostBytes
      return Round.Expectation(
        base: Snapshot.base(of: model.manifest(keeping: kept)),
        sizes: [.plain: bytes...bytes].merging([coding.codec: 1...coding.mostBytes]) { plain, _ in plain },
        mayBeEmpty: plan.mayBeEmpty(stage: key.stage))
    }
    var rules = plan.round
    // Sums are of all rows of a client, and so is its loss.
    if plan.isRegression { rules.maxSamples = PlanLimits.samples }
    return Round(
      key, rules: rules, needed: needed, missing: missing, wait: wait,
      calibrates: plan.isCalibrated(after: key),
      expecting: { expectations(plan.keptBlocks(key, client: $0)) },
      seed: plan.seed, present: present, away: away, resting: resting, late: late,
      waitsForStragglers: plan.round.stragglers == .fold && !isLast, at: now, opens: opens)
  }
}
