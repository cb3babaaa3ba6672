/// One round of a job, as a value: facts and time go in, actions come out. It reads no clock, does no I/O
/// and draws nothing but the cohort, which follows from the seed.
///
/// `advance(to:)` is the only place where the phase changes.
package struct Round: Sendable {
  package enum Phase: Sendable, Hashable {
    /// Waiting for enough clients.
    case recruiting
    /// The cohort trains until all have answered, or until the deadline.
    case training(deadline: Duration)
    /// The admitted updates are averaged.
    case aggregating
    /// The server trains the whole on its own images.
    case calibrating
    case closed(Outcome)
  }

  package enum Outcome: Sendable, Hashable {
    case committed
    case abandoned(Abandonment)
  }

  package enum Abandonment: Sendable, Hashable {
    /// The deadline passed with fewer updates than the quorum.
    case deadlinePassed(admitted: Int)
    /// Too few clients came for as long as the plan waits.
    case tooFewClients(present: Int)
    /// So many updates were rejected that the quorum is out of reach, even if all who declined came back; or those who
    /// are needed did not come back for a deadline, while a new attempt has its quorum without them.
    case quorumOutOfReach(admitted: Int)
    /// The quorum is out of reach, and most of those who answered have sent what a training that diverged leads to.
    case updatesDiverged(Int, of: Int)
    /// What was made of the updates, or of the calibration, is no model: its numbers are not finite, or absurdly large.
    case modelDiverged
  }

  /// What the coordinator is to do.
  package enum Action: Sendable, Hashable {
    case assign(client: String, deadline: Duration)
    /// Tell a straggler to stop.
    case release(client: String)
    /// Tell one that still trains for the round before to stop.
    case releaseLate(client: String, RoundKey)
    /// Average the updates of the ledger, in client order.
    case aggregate
    case calibrate
    /// Make the result the global model.
    case commit
    case abandon(Abandonment)
  }

  /// Where a member of the cohort stands.
  enum Member: Sendable {
    case assigned
    /// The connection is lost; it may come back.
    case gone
    case admitted
    case rejected
    /// It will not train for now. Where the others are no quorum it is asked again.
    case declined
    /// It declined, and has connected again since.
    case returned
  }

  package let key: RoundKey
  package let rules: Plan.RoundRules
  package let calibrates: Bool
  package internal(set) var phase = Phase.recruiting
  package private(set) var ledger: Ledger
  let seed: UInt64
  private let expected: @Sendable (String) -> Expectation
  private let needed: Int
  private let wait: Duration
  /// When it begins, and from when on clients may be asked.
  let (begins, opens): (Duration, Duration)
  var present: Set<String>
  /// Clients that said until when they will not train; they may be connected.
  var away: [String: Duration]
  let resting: Set<String>
  /// Who may still bring what it has trained for the round before.
  package internal(set) var late: Stragglers?
  /// Whether stragglers may bring their updates to the next round.
  let waitsForStragglers: Bool
  var members: [String: Member] = [:]
  /// Clients of the cohort as it was drawn: so many are to train, whoever they are.
  var places = 0
  /// Clients that were not here when a cohort was last drawn: nobody waits for so many.
  package internal(set) var missing: Int
  /// Since when there is a quorum to begin with.
  var quorumSince: Duration?
  /// Since when so many have declined that the others are no quorum.
  var shortSince: Duration?
  /// When those who declined are asked again, and how often that was done.
  var (nextAsking, askings): (Duration?, Int) = (nil, 0)
  /// Until when members that are gone are waited for, after the server itself was away.
  var returnDeadline = Duration.zero
  /// Members whose updates were rejected because their trainings diverged.
  var diverged: Set<String> = []
  var modelHasDiverged = false
  var isAggregated = false
  var isCalibrated = false
  /// The latest time that the round was advanced to.
  var latest: Duration

  /// What a client's update of a round must look like.
  package struct Expectation: Sendable, Hashable {
    package let base: Digest
    /// How many bytes it may have, by the codecs that it may be coded with.
    package let sizes: [UpdateCodec: ClosedRange<Int>]

    package init(base: Digest, sizes: [UpdateCodec: ClosedRange<Int>]) {
      (self.base, self.sizes) = (base, sizes)
    }

    /// The expectation of a plain update.
    package init(base: Digest, bytes: Int) { self.init(base: base, sizes: [.plain: bytes...bytes]) }
  }

  /// - Parameters:
  ///   - needed: clients that it waits for, where the plan's cohort is not more; then a quorum is enough.
  ///   - missing: how many of them were missing last time, and are not waited for.
  ///   - wait: how long it waits for them once there is a quorum; nil: as long as the plan says.
  ///   - expected: what the update of a client must look like.
  ///   - present: clients that are connected as it begins.
  ///   - away: clients that will not train, and until when; they are not drawn before.
  ///   - resting: clients that are not drawn while the others make a quorum.
  ///   - late: who still trains for the round before.
  ///   - waitsForStragglers: whether whoever trains when it is over may go on, for the next round.
  ///   - now: the time at which it begins.
  ///   - opens: the time before which no client is asked; nil: at once.
  package init(
    _ key: RoundKey, rules: Plan.RoundRules, needed: Int, missing: Int = 0, wait: Duration? = nil,
    calibrates: Bool, expecting expected: @escaping @Sendable (_ client: String) -> Expectation,
    seed: UInt64, present: some Sequence<String>, away: [String: Duration] = [:],
    resting: Set<String> = [], late: Stragglers? = nil, waitsForStragglers: Bool = false,
    at now: Duration, opens: Duration? = nil
  ) {
    (self.away, begins, self.opens, latest) = (away, now, opens ?? now, now)
    (self.resting, self.late, self.waitsForStragglers) = (resting, late, waitsForStragglers)
    (self.key, self.rules, self.needed, self.calibrates) = (key, rules, needed, calibrates)
    (self.missing, self.wait) = (missing, wait ?? rules.wait.duration)
    (self.expected, self.seed, self.present) = (expected, seed, Set(present))
    ledger = Ledger(maxSamples: rules.maxSamples)
  }

  /// The members of the cohort, in name order; empty before it is drawn.
  package var cohort: [String] { members.keys.sorted() }

  /// Who still trains for this round now that it is over, and may bring its update to the next one.
  package var stragglers: Stragglers? {
    guard waitsForStragglers, case .closed(.committed) = phase else { return nil }
    return Stragglers(key, training, expecting: expected)
  }

  /// Whether a client is a member of the cohort whose update may still come, connected or not.
  package func isOutstanding(_ client: String) -> Bool {
    switch members[client] {
    case .assigned?, .gone?: true
    case .admitted?, .rejected?, .declined?, .returned?, nil: false
    }
  }

  var training: [String] {
    cohort.filter { if case .assigned? = members[$0] { true } else { false } }
  }

  /// Clients that it waits for before it begins, as long as it is not late; then, and where a round under way waits for
  /// others in place of those who declined, the quorum.
  package var clientsNeeded: Int {
    guard case .recruiting = phase, !(waitEnds.map { $0 <= latest } ?? false) else { return rules.quorum }
    return clientsAwaited
  }

  /// All that it waits for, but for those who were missing last time.
  var clientsAwaited: Int { max(rules.quorum, max(needed, rules.cohort) - missing) }

  /// From when on a quorum is enough to begin.
  var waitEnds: Duration? { quorumSince.map { $0 + wait } }

  /// Clients that are connected, and would train as far as is known.
  package var available: Int { available(at: latest).count }

  func available(at now: Duration) -> Set<String> {
    present.filter { away[$0].map { $0 <= now } ?? true }
  }

  /// Goes on with a round that a stopped server had begun: its cohort, what it had admitted (late updates of
  /// others too), whom it had rejected, and who had declined. A round without a cohort had not drawn it yet. The
  /// others have some time to come back, and then as long as if it had just begun.
  package mutating func resume(
    cohort: [String], admitted: [(client: String, offer: UpdateOffer)], rejected: [String],
    declined: [String] = [], at now: Duration
  ) {
    precondition(phase == .recruiting, "a round in phase \(phase) is not resumed")
    latest = max(latest, now)
    for client in cohort { members[client] = .gone }
    for client in declined where members[client] != nil { members[client] = .declined }
    for client in rejected where members[client] != nil { members[client] = .rejected }
    for (client, offer) in admitted {
      ledger.admit(offer, from: client)
      if members[client] != nil { members[client] = .admitted }
    }
    guard !cohort.isEmpty else { return }
    places = min(cohort.count, rules.cohort + rules.overSelection)
    returnDeadline = now + min(rules.deadline.duration, Self.timeToReturn)
    phase = .training(deadline: now + rules.deadline.duration)
  }

  /// As long as clients wait at most between two tries to reach the server.
  private static let timeToReturn = Duration.seconds(30)

  // MARK: - Facts

  /// A client is connected; a member of the cohort that comes back gets its assignment again.
  package mutating func join(_ client: String, at now: Duration = .zero) -> [Action] {
    latest = max(latest, now)
    present.insert(client)
    away[client] = nil
    guard case .training(var deadline) = phase, let member = members[client] else { return [] }
    if case .declined = member { members[client] = .returned }
    guard case .gone = member else { return [] }
    members[client] = .assigned
    if isShort {
      // The deadline stood still; it begins anew with whoever trains.
      deadline = latest + rules.deadline.duration
      phase = .training(deadline: deadline)
    }
    return [.assign(client: client, deadline: deadline)]
  }

  /// A client's connection is lost.
  package mutating func leave(_ client: String) {
    present.remove(client)
    late?.remove(client)
    if case .assigned? = members[client] { members[client] = .gone }
  }

  /// Whether an offered update may be sent: everything that can be known without its bytes. Nil also for
  /// the very update that is admitted already (``hasAdmitted(_:from:)``), which is not admitted twice.
  package func rejection(of offer: UpdateOffer, from client: String) -> Rejection? {
    let expected: Expectation
    if isLate(offer, from: client), let late {
      expected = late.expected(client)
    } else {
      guard offer.key == key, takesUpdates || comesBetween(offer, from: client) else { return .wrongRound }
      guard let member = members[client] else { return .notAssigned }
      if case .admitted = member, ledger.admitted[client]?.digest != offer.digest { return .duplicate }
      if case .rejected = member { return .alreadyRejected }
      expected = self.expected(client)
    }
    guard offer.base == expected.base else { return .wrongBase }
    guard let sizes = expected.sizes[offer.codec ?? .plain] else { return .undecodable }
    guard sizes.contains(offer.bytes) else { return .wrongSize }
    return offer.badNumber?.rejection
  }

  /// Whether an offered update is of the round before, and may still come.
  package func isLate(_ offer: UpdateOffer, from client: String) -> Bool {
    guard let late, offer.key == late.key, late.clients.contains(client) else { return false }
    switch phase {
    case .recruiting, .training: return true
    case .aggregating, .calibrating, .closed: return false
    }
  }

  /// Whether an offered update came while its round was being closed, for the next one to take.
  package func comesBetween(_ offer: UpdateOffer, from client: String) -> Bool {
    guard waitsForStragglers, offer.key == key, case .assigned? = members[client] else { return false }
    return phase == .aggregating || phase == .calibrating
  }

  private var takesUpdates: Bool { if case .training = phase { true } else { false } }

  /// Whether the client's very update is already admitted: its acknowledgement was lost, and is repeated.
  package func hasAdmitted(_ offer: UpdateOffer, from client: String) -> Bool {
    offer.key == key && ledger.admitted[client]?.digest == offer.digest
  }

  /// An update was checked and stored.
  package mutating func admit(_ offer: UpdateOffer, from client: String) {
    precondition(rejection(of: offer, from: client) == nil, "\(client)'s update was not to be admitted")
    ledger.admit(offer, from: client)
    members[client] = .admitted
  }

  /// An update of the round before was checked, rebased on this round's weights, and stored.
  package mutating func admitLate(_ rebased: UpdateOffer, from client: String, at now: Duration = .zero) {
    latest = max(latest, now)
    let wasShort = isShort
    ledger.admit(rebased, from: client)
    late?.remove(client)
    // The deadline stood still; it begins anew with whoever trains.
    if wasShort && !isShort { phase = .training(deadline: latest + rules.deadline.duration) }
  }

  /// A straggler's update is not usable, or will not come.
  package mutating func dropLate(_ client: String) { late?.remove(client) }

  /// A member's update is not usable, for it `diverged` or for another reason; the round goes on without it.
  package mutating func reject(_ client: String, diverged isDiverged: Bool = false) {
    guard case .assigned? = members[client] else { return }
    members[client] = .rejected
    if isDiverged { diverged.insert(client) }
  }

  /// A member will not train for now: another takes its place, or it is asked again, until then if it said when.
  /// Returns whether it was asked to train.
  package mutating func decline(_ client: String, until: Duration? = nil) -> Bool {
    guard case .assigned? = members[client] else { return false }
    members[client] = .declined
    // Nobody is asked again the moment after: it may be about to leave.
    (away[client], nextAsking) = (until, nil)
    return true
  }

  package mutating func finishAggregation() {
    precondition(phase == .aggregating, "an aggregate in phase \(phase)")
    isAggregated = true
  }

  package mutating func finishCalibration() {
    precondition(phase == .calibrating, "a calibration in phase \(phase)")
    isCalibrated = true
  }

  /// What was made of the updates, or of the calibration, is no model.
  package mutating func diverge() {
    precondition(phase == .aggregating || phase == .calibrating, "a model in phase \(phase)")
    modelHasDiverged = true
  }
}

/// Which round of a job: stage, round of the stage, and which attempt at it; all count from 1.
package struct RoundKey: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
  package let stage: Int
  package let round: Int
  package let attempt: Int

  package init(stage: Int, round: Int, attempt: Int = 1) {
    (self.stage, self.round, self.attempt) = (stage, round, attempt)
  }

  /// The same round, tried once more.
  package var nextAttempt: RoundKey { RoundKey(stage: stage, round: round, attempt: attempt + 1) }

  package var description: String {
    "stage \(stage) round \(round)\(attempt > 1 ? " attempt \(attempt)" : "")"
  }

  package static func < (one: RoundKey, other: RoundKey) -> Bool {
    (one.stage, one.round, one.attempt) < (other.stage, other.round, other.attempt)
  }
}
