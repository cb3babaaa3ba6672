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
    /// So many updates were refused, or clients declined, that the quorum is out of reach.
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
  private enum Member: Sendable {
    case assigned
    /// The connection is lost; it may come back.
    case gone
    case admitted
    case refused
    /// It will not train in this round.
    case declined
  }

  package let key: RoundKey
  package let rules: Plan.RoundRules
  package let calibrates: Bool
  package private(set) var phase = Phase.recruiting
  package private(set) var ledger = Ledger()
  private let seed: UInt64
  private let expected: @Sendable (String) -> Expectation
  private let needed: Int
  /// Since when clients are waited for: since its beginning, or that of an attempt before it, which failed because
  /// clients did not want to train.
  package let waitsSince: Duration
  private var present: Set<String>
  /// Clients that said until when they will not train; they may be connected.
  private var away: [String: Duration]
  private let resting: Set<String>
  /// Who may still bring what it has trained for the round before.
  package private(set) var late: Latecomers?
  /// Whether stragglers may bring their updates to the next round.
  private let waitsForStragglers: Bool
  private var members: [String: Member] = [:]
  /// Until when members that are gone are waited for, after the server itself was away.
  private var returnDeadline = Duration.zero
  /// Members whose updates were refused because their trainings diverged.
  private var diverged: Set<String> = []
  private var modelHasDiverged = false
  private var isAggregated = false
  private var isCalibrated = false
  /// The latest time that the round was advanced to.
  private var latest: Duration

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
  ///   - needed: clients that must be present before it starts; after the deadline a quorum is enough.
  ///   - expected: what the update of a client must look like.
  ///   - present: clients that are connected as it begins.
  ///   - away: clients that will not train, and until when; they are not drawn before.
  ///   - resting: clients that are not drawn while the others make a quorum.
  ///   - late: who still trains for the round before.
  ///   - waitsForStragglers: whether whoever trains when it is over may go on, for the next round.
  ///   - waitsSince: since when clients are waited for; nil: since it begins.
  ///   - now: the time at which it begins.
  package init(
    _ key: RoundKey, rules: Plan.RoundRules, needed: Int, calibrates: Bool,
    expecting expected: @escaping @Sendable (_ client: String) -> Expectation, seed: UInt64,
    present: some Sequence<String>, away: [String: Duration] = [:], resting: Set<String> = [],
    late: Latecomers? = nil, waitsForStragglers: Bool = false, waitsSince: Duration? = nil, at now: Duration
  ) {
    (self.away, self.waitsSince, latest) = (away, waitsSince ?? now, now)
    (self.resting, self.late, self.waitsForStragglers) = (resting, late, waitsForStragglers)
    (self.key, self.rules, self.needed, self.calibrates) = (key, rules, needed, calibrates)
    (self.expected, self.seed, self.present) = (expected, seed, Set(present))
  }

  /// The members of the cohort, in name order; empty before it is drawn.
  package var cohort: [String] { members.keys.sorted() }

  /// The time at which `advance(to:)` would change something by itself; nil if only a fact can.
  package var nextDeadline: Duration? {
    switch phase {
    case .recruiting:
      // After the deadline a quorum is enough; at last nobody is waited for any more. Meanwhile some come back.
      ([waitsSince + rules.deadline.duration, waitsSince + rules.patience.duration]
        + present.compactMap { away[$0] }).filter { $0 > latest }.min()
    case .training(let deadline): returnDeadline > latest ? min(returnDeadline, deadline) : deadline
    case .aggregating, .calibrating, .closed: nil
    }
  }

  /// Who still trains for this round now that it is over, and may bring its update to the next one.
  package var stragglers: Latecomers? {
    guard waitsForStragglers, case .closed(.committed) = phase else { return nil }
    return Latecomers(key, training, expecting: expected)
  }

  private var training: [String] {
    cohort.filter { if case .assigned? = members[$0] { true } else { false } }
  }

  /// Clients without which it does not begin, as long as it is not late.
  package var clientsNeeded: Int {
    latest >= waitsSince + rules.deadline.duration ? rules.quorum : max(needed, rules.cohort)
  }

  /// Clients that are connected, and would train as far as is known.
  package var available: Int { available(at: latest).count }

  private func available(at now: Duration) -> Set<String> {
    present.filter { away[$0].map { $0 <= now } ?? true }
  }

  /// Goes on with a round that a stopped server had begun: its cohort, what it had admitted (late updates of
  /// others too), and whom it had refused. A round without a cohort had not drawn it yet. The others have some
  /// time to come back, and then as long as if it had just begun.
  package mutating func resume(
    cohort: [String], admitted: [(client: String, offer: UpdateOffer)], refused: [String], at now: Duration
  ) {
    precondition(phase == .recruiting, "a round in phase \(phase) is not resumed")
    latest = max(latest, now)
    for client in cohort { members[client] = .gone }
    for client in refused where members[client] != nil { members[client] = .refused }
    for (client, offer) in admitted {
      ledger.admit(offer, from: client)
      if members[client] != nil { members[client] = .admitted }
    }
    guard !cohort.isEmpty else { return }
    returnDeadline = now + min(rules.deadline.duration, Self.timeToReturn)
    phase = .training(deadline: now + rules.deadline.duration)
  }

  /// As long as clients wait at most between two tries to reach the server.
  private static let timeToReturn = Duration.seconds(30)

  // MARK: - Facts

  /// A client is connected; a member of the cohort that comes back gets its assignment again.
  package mutating func join(_ client: String) -> [Action] {
    present.insert(client)
    away[client] = nil
    guard case .training(let deadline) = phase, case .gone? = members[client] else { return [] }
    members[client] = .assigned
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
  package func refusal(of offer: UpdateOffer, from client: String) -> Refusal? {
    let expected: Expectation
    if isLate(offer, from: client), let late {
      expected = late.expected(client)
    } else {
      guard offer.key == key, takesUpdates || comesBetween(offer, from: client) else { return .wrongRound }
      guard let member = members[client] else { return .stranger }
      if case .admitted = member, ledger.admitted[client]?.digest != offer.digest { return .duplicate }
      if case .refused = member { return .alreadyRefused }
      expected = self.expected(client)
    }
    guard offer.base == expected.base else { return .wrongBase }
    guard let sizes = expected.sizes[offer.codec ?? .plain] else { return .undecodable }
    guard sizes.contains(offer.bytes) else { return .wrongSize }
    return offer.badNumber?.refusal
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
    precondition(refusal(of: offer, from: client) == nil, "\(client)'s update was not to be admitted")
    ledger.admit(offer, from: client)
    members[client] = .admitted
  }

  /// An update of the round before was checked, rebased on this round's weights, and stored.
  package mutating func admitLate(_ rebased: UpdateOffer, from client: String) {
    ledger.admit(rebased, from: client)
    late?.remove(client)
  }

  /// A latecomer's update is not usable, or will not come.
  package mutating func dropLate(_ client: String) { late?.remove(client) }

  /// A member's update is not usable, for it `diverged` or for another reason; the round goes on without it.
  package mutating func refuse(_ client: String, diverged isDiverged: Bool = false) {
    guard case .assigned? = members[client] else { return }
    members[client] = .refused
    if isDiverged { diverged.insert(client) }
  }

  /// A member will not train in this round; the round goes on without it. Returns whether it was asked to.
  package mutating func decline(_ client: String) -> Bool {
    guard case .assigned? = members[client] else { return false }
    members[client] = .declined
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

  // MARK: - Time

  /// Changes the phase as far as facts and time allow, and says what is to be done.
  package mutating func advance(to now: Duration) -> [Action] {
    latest = max(latest, now)
    var actions: [Action] = []
    while let step = nextStep(at: now) {
      phase = step.phase
      actions += step.actions
    }
    return actions
  }

  private mutating func nextStep(at now: Duration) -> (phase: Phase, actions: [Action])? {
    switch phase {
    case .recruiting: startTraining(at: now)
    case .training(let deadline): finishTraining(deadline, at: now)
    case .aggregating where modelHasDiverged, .calibrating where modelHasDiverged:
      (.closed(.abandoned(.modelDiverged)), [.abandon(.modelDiverged)])
    case .aggregating:
      if !isAggregated {
        nil
      } else if calibrates {
        (.calibrating, [.calibrate])
      } else {
        (.closed(.committed), [.commit])
      }
    case .calibrating: isCalibrated ? (.closed(.committed), [.commit]) : nil
    case .closed: nil
    }
  }

  private mutating func startTraining(at now: Duration) -> (phase: Phase, actions: [Action])? {
    let waitedEnough = now >= waitsSince + rules.deadline.duration
    let available = available(at: now)
    // Who is here and will not train is not waited for where the others are a quorum.
    guard waitedEnough || present.count >= max(needed, rules.cohort), available.count >= rules.quorum else {
      guard now >= waitsSince + rules.patience.duration else { return nil }
      let reason = Abandonment.tooFewClients(present: available.count)
      return (.closed(.abandoned(reason)), [.abandon(reason)])
    }
    let deadline = now + rules.deadline.duration
    let candidates = available.subtracting(ledger.admitted.keys)
    // Who rests, or still works on something else, is asked only where the others are no quorum.
    let free = candidates.subtracting(resting).subtracting(late?.clients ?? [])
    let drawn = Cohort.draw(
      rules.cohort + rules.spare, from: free.count >= rules.quorum ? free : candidates, seed: seed, key)
    for client in drawn { late?.remove(client) }
    for client in drawn { members[client] = .assigned }
    return (.training(deadline: deadline), drawn.map { .assign(client: $0, deadline: deadline) })
  }

  private func finishTraining(_ deadline: Duration, at now: Duration) -> (phase: Phase, actions: [Action])? {
    let admitted = ledger.admitted.count
    let training = count { if case .assigned = $0 { true } else { false } }
    let gone = count { if case .gone = $0 { true } else { false } }
    let lateReleases = (late?.clients.sorted() ?? []).map { Action.releaseLate(client: $0, late?.key ?? key) }
    let releases = self.training.map { Action.release(client: $0) } + lateReleases
    // Nobody who is connected still trains: waiting for those who are gone could take until the deadline.
    let waits = training > 0 || (gone > 0 && now < returnDeadline)
    let isFull = rules.spare > 0 && count { if case .admitted = $0 { true } else { false } } >= rules.cohort
    if admitted >= rules.quorum && (isFull || !waits || now >= deadline) {
      return (.aggregating, (waitsForStragglers ? lateReleases : releases) + [.aggregate])
    }
    if now >= deadline {
      let reason = Abandonment.deadlinePassed(admitted: admitted)
      return (.closed(.abandoned(reason)), releases + [.abandon(reason)])
    }
    if admitted + training + gone < rules.quorum {
      let answered = members.count - training - gone
      let reason =
        2 * diverged.count > answered
        ? Abandonment.updatesDiverged(diverged.count, of: answered) : .quorumOutOfReach(admitted: admitted)
      return (.closed(.abandoned(reason)), releases + [.abandon(reason)])
    }
    return nil
  }

  private func count(_ isIncluded: (Member) -> Bool) -> Int { members.values.count(where: isIncluded) }
}
