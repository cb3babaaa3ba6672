import Engine

/// The transitions of a round over time.
extension Round {
  /// The next time at which `advance(to:)` changes something; nil if only an event can.
  package var nextDeadline: Duration? {
    let times: [Duration?]
    switch phase {
    case .recruiting:
      // A quorum is sufficient after the wait, and the attempt ends after the timeout. Clients that are away return in
      // between.
      times = [opens, waitEnds, begins + rules.timeout.duration] + present.map { away[$0] }
    case .training(let deadline):
      let ends = isShort ? shortSince.map { $0 + rules.timeout.duration } : deadline
      let isWaiting = vacancies > 0 && ledger.admitted.count < rules.quorum
      times =
        [ends, restarts, isShort ? nextAsking : nil, returnDeadline]
        + (isWaiting ? present.map { away[$0] } : [])
    case .aggregating, .calibrating, .closed: return nil
    }
    return times.compactMap(\.self).filter { $0 > latest }.min()
  }

  /// Advances the phase as events and time permit, and returns the resulting actions.
  package mutating func advance(to now: Duration) -> [Action] {
    latest = max(latest, now)
    var actions: [Action] = []
    while let step = nextStep(at: now) {
      phase = step.phase
      actions += step.actions
    }
    return actions
  }

  private typealias Step = (phase: Phase, actions: [Action])

  private mutating func nextStep(at now: Duration) -> Step? {
    switch phase {
    case .recruiting: startTraining(at: now)
    case .training(let deadline): goOnTraining(deadline, at: now)
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

  // MARK: - Recruiting

  private mutating func startTraining(at now: Duration) -> Step? {
    let available = available(at: now)
    if available.count >= rules.quorum { quorumSince = quorumSince ?? now }
    // A quorum that connects late is not waited for beyond the timeout: the attempt begins instead of ending.
    let hasTimedOut = now >= begins + rules.timeout.duration
    let waitedEnough = hasTimedOut || (waitEnds.map { $0 <= now } ?? false)
    // Connected clients that will not train are not waited for if the others are a quorum.
    guard now >= opens, waitedEnough || present.count >= clientsAwaited, available.count >= rules.quorum
    else {
      guard hasTimedOut else { return nil }
      let reason = Abandonment.tooFewClients(present: available.count)
      return (.closed(.abandoned(reason)), [.abandon(reason)])
    }
    let candidates = available.subtracting(ledger.admitted.keys)
    // Clients that rest, or still train for the previous round, are assigned only if the others are no quorum.
    let free = free(of: candidates)
    let drawn = Cohort.draw(
      rules.cohort + rules.overSelection, from: free.count >= rules.quorum ? free : candidates, seed: seed,
      key)
    places = drawn.count
    missing = max(0, rules.cohort - present.count)
    return assign(drawn, deadline: now + rules.deadline.duration)
  }

  private func free(of candidates: Set<String>) -> Set<String> {
    candidates.subtracting(resting).subtracting(late?.clients ?? [])
  }

  private mutating func assign(_ clients: [String], deadline: Duration) -> Step {
    for client in clients {
      late?.remove(client)
      members[client] = .assigned
    }
    return (.training(deadline: deadline), clients.map { .assign(client: $0, deadline: deadline) })
  }

  // MARK: - Training

  /// The number of updates that are admitted or may still arrive.
  private var expectedUpdates: Int {
    ledger.admitted.count + count { [.assigned, .gone].contains($0) }
  }

  /// Whether declined clients are needed for a quorum. The deadline is then suspended, because no assigned client is
  /// late.
  var isShort: Bool {
    guard case .training = phase else { return false }
    return expectedUpdates < rules.quorum
  }

  /// Whether no client trains because too few are connected or willing to train.
  package var isWaiting: Bool { phase == .recruiting || (isShort && training.isEmpty) }

  /// The number of clients that train or have trained, without those that declined or were rejected.
  package var participants: Int { count { [.assigned, .gone, .admitted].contains($0) } }

  /// The number of places in the cohort whose clients declined or were rejected, and are not replaced.
  private var vacancies: Int { places - participants }

  private mutating func goOnTraining(_ deadline: Duration, at now: Duration) -> Step? {
    let admitted = ledger.admitted.count
    let training = training
    let lateReleases = (late?.clients.sorted() ?? []).map { Action.releaseLate(client: $0, late?.key ?? key) }
    let releases = training.map { Action.release(client: $0) } + lateReleases
    func abandon(_ reason: Abandonment) -> Step {
      (.closed(.abandoned(reason)), releases + [.abandon(reason)])
    }
    if admitted >= rules.quorum {
      // If no connected client trains, the round does not wait for disconnected ones, which could take until the
      // deadline.
      let waits = !training.isEmpty || (count { $0 == .gone } > 0 && now < returnDeadline)
      let isFull = rules.overSelection > 0 && count { $0 == .admitted } >= rules.cohort
      guard isFull || !waits || now >= deadline else { return nil }
      return (.aggregating, (waitsForStragglers ? lateReleases : releases) + [.aggregate])
    }
    guard isShort else {
      if now >= deadline { return abandon(.deadlinePassed(admitted: admitted)) }
      return replace(deadline: deadline, at: now)
    }
    // Clients assigned to restore a quorum have the full time.
    if let step = replace(deadline: now + rules.deadline.duration, at: now) { return step }
    let since = shortSince ?? now
    shortSince = since
    guard isInReach(at: now) else {
      let answered = admitted + count { $0 == .rejected }
      return abandon(
        2 * diverged.count > answered
          ? .updatesDiverged(diverged.count, of: answered) : .quorumOutOfReach(admitted: admitted))
    }
    guard now < since + rules.timeout.duration else {
      return abandon(.tooFewClients(present: available(at: now).count))
    }
    nextAsking = nextAsking ?? now + rules.pause(after: askings)
    return nil
  }

  /// The time at which an attempt without a quorum stops waiting for disconnected clients that declined, if the next
  /// attempt does not need them.
  private var restarts: Duration? {
    guard isShort, count({ $0 == .rejected }) > 0 else { return nil }
    return shortSince.map { $0 + rules.deadline.duration }
  }

  /// Whether an attempt without a quorum can still reach one. All declined clients count, connected or not. After a
  /// deadline, only connected ones count if a new attempt, which also includes rejected clients, would have a quorum.
  private func isInReach(at now: Duration) -> Bool {
    let declined = members.filter { [.declined, .returned].contains($0.value) }.keys
    guard expectedUpdates + declined.count >= rules.quorum else { return false }
    let available = available(at: now)
    return restarts.map { now < $0 } ?? true || available.count < rules.quorum
      || expectedUpdates + declined.count(where: available.contains) >= rules.quorum
  }

  /// Assigns other clients in place of members that declined or were rejected; if there are none, assigns declined
  /// clients again.
  private mutating func replace(deadline: Duration, at now: Duration) -> Step? {
    let vacancies = vacancies
    guard vacancies > 0 else { return nil }
    let (isShort, asksAgain) = (isShort, nextAsking.map { $0 <= now } ?? false)
    let candidates = available(at: now).subtracting(ledger.admitted.keys).filter { client in
      switch members[client] {
      case nil, .returned: true
      case .declined: isShort && asksAgain
      case .assigned, .gone, .admitted, .rejected: false
      }
    }
    let free = free(of: candidates).filter { members[$0] != .declined }
    let isEnough = !isShort || expectedUpdates + free.count >= rules.quorum
    let drawn = Cohort.draw(vacancies, from: isEnough ? free : candidates, seed: seed, key)
    guard !drawn.isEmpty else { return nil }
    if drawn.contains(where: { members[$0] == .declined }) { (nextAsking, askings) = (nil, askings + 1) }
    return assign(drawn, deadline: deadline)
  }

  private func count(_ isIncluded: (Member) -> Bool) -> Int { members.values.count(where: isIncluded) }
}

/// The selection of clients for a round.
package enum Cohort {
  /// Draws `size` of the names with equal probability, in name order. The result depends only on the seed, the round
  /// and the set of names.
  package static func draw(_ size: Int, from names: some Collection<String>, seed: UInt64, _ key: RoundKey)
    -> [String]
  {
    let ranked = names.map { name in
      (RandomNumbers.derive(seed, "cohort \(name)", [key.stage, key.round, key.attempt]), name)
    }
    return ranked.sorted { $0 < $1 }.prefix(size).map(\.1).sorted()
  }
}
