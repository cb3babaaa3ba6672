/// A round of a job as a value: events and time are its input, actions its output. It reads no clock and performs no
/// I/O; its only random choice is the cohort, which follows from the seed.
///
/// Only `advance(to:)` changes the phase.
package struct Round: Sendable {
  package enum Phase: Sendable, Hashable {
    /// Waiting for enough clients.
    case recruiting
    /// The cohort trains until all have answered or the deadline passes.
    case training(deadline: Duration)
    /// The admitted updates are being aggregated.
    case aggregating
    /// The server trains the whole model on its images.
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
    /// Too few clients were available until the timeout.
    case tooFewClients(present: Int)
    /// Too many updates were rejected for a quorum, even if all declined clients returned; or the needed clients did
    /// not return within a deadline, while a new attempt has a quorum without them.
    case quorumOutOfReach(admitted: Int)
    /// A quorum cannot be reached, and most updates received are those of trainings that diverged.
    case updatesDiverged(Int, of: Int)
    /// The result of aggregation or calibration is not finite, or exceeds the divergence limit.
    case modelDiverged
  }

  /// An action for the coordinator.
  package enum Action: Sendable, Hashable {
    case assign(client: String, deadline: Duration)
    /// Release a straggler.
    case release(client: String)
    /// Release a client that still trains for the previous round.
    case releaseLate(client: String, RoundKey)
    /// Aggregate the updates of the ledger, in client order.
    case aggregate
    case calibrate
    /// Make the result the global model.
    case commit
    case abandon(Abandonment)
  }

  /// The state of a member of the cohort.
  enum Member: Sendable {
    case assigned
    /// The connection is lost; the client may return.
    case gone
    case admitted
    case rejected
    /// The client does not train for now. It is asked again if the others are no quorum.
    case declined
    /// The client declined, and has connected again since.
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
  /// The start of the round, and the time from which clients may be assigned.
  let (begins, opens): (Duration, Duration)
  var present: Set<String>
  /// The times until which clients will not train; they may be connected.
  var away: [String: Duration]
  let resting: Set<String>
  /// The clients that may still send updates of the previous round.
  package internal(set) var late: Stragglers?
  /// Whether the next round accepts updates of stragglers.
  let waitsForStragglers: Bool
  var members: [String: Member] = [:]
  /// The size of the cohort as drawn, which stays the same if members are replaced.
  var places = 0
  /// The number of clients missing when a cohort was last drawn, which are not waited for.
  package internal(set) var missing: Int
  /// The time since which there is a quorum to begin.
  var quorumSince: Duration?
  /// The time since which too many clients have declined for a quorum.
  var shortSince: Duration?
  /// The time at which declined clients are asked again, and the number of times they were.
  var (nextAsking, askings): (Duration?, Int) = (nil, 0)
  /// The time until which disconnected members are waited for after a restart of the server.
  var returnDeadline = Duration.zero
  /// The members whose updates were rejected because their trainings diverged.
  var diverged: Set<String> = []
  var modelHasDiverged = false
  var isAggregated = false
  var isCalibrated = false
  /// The latest time passed to the round.
  var latest: Duration

  /// The expected properties of a client's update.
  package struct Expectation: Sendable, Hashable {
    package let base: Digest
    /// The permitted numbers of bytes for each permitted codec.
    package let sizes: [UpdateCodec: ClosedRange<Int>]
    /// Whether the client may have no images left, and takes no part then.
    package let mayBeEmpty: Bool

    package init(base: Digest, sizes: [UpdateCodec: ClosedRange<Int>], mayBeEmpty: Bool = false) {
      (self.base, self.sizes, self.mayBeEmpty) = (base, sizes, mayBeEmpty)
    }

    /// The expectation of a plain update.
    package init(base: Digest, bytes: Int) { self.init(base: base, sizes: [.plain: bytes...bytes]) }
  }

  /// - Parameters:
  ///   - needed: The number of clients to wait for, if larger than the plan's cohort; later a quorum is sufficient.
  ///   - missing: The number of clients that were missing in the previous round and are not waited for.
  ///   - wait: The time to wait for them once there is a quorum; nil means the plan's.
  ///   - expected: Returns the expected properties of a client's update.
  ///   - present: The clients that are connected at the start.
  ///   - away: The times until which clients will not train; they are not drawn earlier.
  ///   - resting: The clients that are drawn only if the others are no quorum.
  ///   - late: The clients that still train for the previous round.
  ///   - waitsForStragglers: Whether clients that train when the round ends may continue, for the next round.
  ///   - now: The start of the round.
  ///   - opens: The time before which no client is assigned; nil means immediately.
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

  /// The clients that still train after the round has been committed, and may send their updates to the next one.
  package var stragglers: Stragglers? {
    guard waitsForStragglers, case .closed(.committed) = phase else { return nil }
    return Stragglers(key, training, expecting: expected)
  }

  /// Whether a client is a member of the cohort whose update may still arrive, connected or not.
  package func isOutstanding(_ client: String) -> Bool {
    switch members[client] {
    case .assigned?, .gone?: true
    case .admitted?, .rejected?, .declined?, .returned?, nil: false
    }
  }

  var training: [String] {
    cohort.filter { if case .assigned? = members[$0] { true } else { false } }
  }

  /// The number of clients that a recruiting round waits for during its wait. Afterwards, and during training, the
  /// quorum.
  package var clientsNeeded: Int {
    guard case .recruiting = phase, !(waitEnds.map { $0 <= latest } ?? false) else { return rules.quorum }
    return clientsAwaited
  }

  /// The number of clients to wait for, without those missing in the previous round.
  var clientsAwaited: Int { max(rules.quorum, max(needed, rules.cohort) - missing) }

  /// The time from which a quorum is sufficient to begin.
  var waitEnds: Duration? { quorumSince.map { $0 + wait } }

  /// The number of clients that are connected and, as far as known, willing to train.
  package var available: Int { available(at: latest).count }

  func available(at now: Duration) -> Set<String> {
    present.filter { away[$0].map { $0 <= now } ?? true }
  }

  /// Resumes a round of a stopped server: its cohort, the admitted updates (including late ones), and the rejected and
  /// declined clients. An empty cohort means that none was drawn. The other members have some time to return, and the
  /// deadline restarts.
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

  /// The longest interval between a client's attempts to reach the server.
  private static let timeToReturn = Duration.seconds(30)

  // MARK: - Events

  /// Handles the connection of a client; a returning member of the cohort gets its assignment again.
  package mutating func join(_ client: String, at now: Duration = .zero) -> [Action] {
    latest = max(latest, now)
    present.insert(client)
    away[client] = nil
    guard case .training(var deadline) = phase, let member = members[client] else { return [] }
    if case .declined = member { members[client] = .returned }
    guard case .gone = member else { return [] }
    members[client] = .assigned
    if isShort {
      // The deadline was suspended; it restarts.
      deadline = latest + rules.deadline.duration
      phase = .training(deadline: deadline)
    }
    return [.assign(client: client, deadline: deadline)]
  }

  /// Handles the loss of a client's connection.
  package mutating func leave(_ client: String) {
    present.remove(client)
    late?.remove(client)
    if case .assigned? = members[client] { members[client] = .gone }
  }

  /// Returns the reason why an offered update is rejected, as far as it is known without its bytes. Nil also for an
  /// identical update that is already admitted (``hasAdmitted(_:from:)``) and is not admitted again.
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
    if offer.isEmpty && expected.mayBeEmpty { return offer.badNumber?.rejection }
    guard let sizes = expected.sizes[offer.codec ?? .plain] else { return .undecodable }
    guard sizes.contains(offer.bytes) else { return .wrongSize }
    return offer.badNumber?.rejection
  }

  /// Whether an offered update belongs to the previous round and is still accepted.
  package func isLate(_ offer: UpdateOffer, from client: String) -> Bool {
    guard let late, offer.key == late.key, late.clients.contains(client) else { return false }
    switch phase {
    case .recruiting, .training: return true
    case .aggregating, .calibrating, .closed: return false
    }
  }

  /// Whether an offered update arrived while its round was being closed, so that the next one can take it.
  package func comesBetween(_ offer: UpdateOffer, from client: String) -> Bool {
    guard waitsForStragglers, offer.key == key, case .assigned? = members[client] else { return false }
    return phase == .aggregating || phase == .calibrating
  }

  private var takesUpdates: Bool { if case .training = phase { true } else { false } }

  /// Whether an identical update is already admitted; the lost acknowledgement must be repeated.
  package func hasAdmitted(_ offer: UpdateOffer, from client: String) -> Bool {
    offer.key == key && ledger.admitted[client]?.digest == offer.digest
  }

  /// Adds an update that was checked and stored.
  package mutating func admit(_ offer: UpdateOffer, from client: String) {
    precondition(rejection(of: offer, from: client) == nil, "\(client)'s update was not to be admitted")
    ledger.admit(offer, from: client)
    members[client] = .admitted
  }

  /// Adds an update of the previous round that was checked, rebased on this round's weights, and stored.
  package mutating func admitLate(_ rebased: UpdateOffer, from client: String, at now: Duration = .zero) {
    latest = max(latest, now)
    let wasShort = isShort
    ledger.admit(rebased, from: client)
    late?.remove(client)
    // The deadline was suspended; it restarts.
    if wasShort && !isShort { phase = .training(deadline: latest + rules.deadline.duration) }
  }

  /// Removes a straggler whose update is unusable or will not arrive.
  package mutating func dropLate(_ client: String) { late?.remove(client) }

  /// Rejects a member's update; the round continues without it. `isDiverged` marks a training that diverged.
  package mutating func reject(_ client: String, diverged isDiverged: Bool = false) {
    guard case .assigned? = members[client] else { return }
    members[client] = .rejected
    if isDiverged { diverged.insert(client) }
  }

  /// Handles a member that declines until a time, if it gave one. Another client replaces it, or it is asked again
  /// later. Returns whether the client was assigned.
  package mutating func decline(_ client: String, until: Duration? = nil) -> Bool {
    guard case .assigned? = members[client] else { return false }
    members[client] = .declined
    // A declined client is not asked again immediately, because it may be about to disconnect.
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

  /// Marks the result of aggregation or calibration as diverged.
  package mutating func diverge() {
    precondition(phase == .aggregating || phase == .calibrating, "a model in phase \(phase)")
    modelHasDiverged = true
  }
}

/// Identifies an attempt at a round of a job by stage, round of the stage, and attempt, all starting at 1.
package struct RoundKey: Sendable, Hashable, Codable, Comparable, CustomStringConvertible {
  package let stage: Int
  package let round: Int
  package let attempt: Int

  package init(stage: Int, round: Int, attempt: Int = 1) {
    (self.stage, self.round, self.attempt) = (stage, round, attempt)
  }

  /// The next attempt at the same round.
  package var nextAttempt: RoundKey { RoundKey(stage: stage, round: round, attempt: attempt + 1) }

  package var description: String {
    "stage \(stage) round \(round)\(attempt > 1 ? " attempt \(attempt)" : "")"
  }

  package static func < (one: RoundKey, other: RoundKey) -> Bool {
    (one.stage, one.round, one.attempt) < (other.stage, other.round, other.attempt)
  }
}
