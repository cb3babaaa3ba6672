import Engine
import Federation
import Testing

/// Rounds with random events, as passed in by a coordinator.
@Suite struct RoundPropertyTests {
  @Test func holdsWhateverHappens() {
    var outcomes: [String: Int] = [:]
    for seed in UInt64(0)..<600 {
      var run = RandomRound(seed: seed)
      for _ in 0..<run.numbers.int(0...80) { run.disturb() }
      run.heal()
      for problem in run.problems { Issue.record("seed \(seed): \(problem)") }
      outcomes[run.outcome, default: 0] += 1
    }
    // Otherwise the events would not reach the cases to be tested.
    #expect(outcomes.keys.sorted() == ["committed", "deadline passed", "quorum out of reach"], "\(outcomes)")
    #expect(outcomes.values.allSatisfy { $0 >= 10 }, "\(outcomes)")
  }
}

private struct RandomRound {
  var numbers: RandomNumbers
  private(set) var problems: [String] = []

  private var round: Round
  private let clients = (0..<8).map { "c\($0)" }
  private var connected: Set<String>
  private var now = Duration.zero
  /// The admitted updates, as counted by this test.
  private var admitted: [String: UpdateOffer] = [:]
  private var cohort: [String] = []
  private var declined: Set<String> = []
  /// The number of rejected offers of members.
  private var rejected = 0
  private var done: [Round.Action] = []

  init(seed: UInt64) {
    numbers = RandomNumbers(seed: seed)
    let cohort = numbers.int(1...6)
    let quorum = numbers.int(1...cohort)
    connected = Set(clients.prefix(numbers.int(0...8)))
    round = .example(
      cohort: cohort, quorum: quorum, needed: numbers.int(0...8), calibrates: numbers.int(0...1) == 1,
      present: connected, seed: seed)
  }

  var outcome: String {
    switch round.phase {
    case .closed(.committed): "committed"
    case .closed(.abandoned(.deadlinePassed)): "deadline passed"
    case .closed(.abandoned(.quorumOutOfReach)): "quorum out of reach"
    default: "open"
    }
  }

  /// Applies one random event.
  mutating func disturb() {
    let client = clients[numbers.int(0...7)]
    switch numbers.int(0...10) {
    case 0, 1:
      connected.insert(client)
      join(client)
    case 2:
      connected.remove(client)
      round.leave(client)
    case 3, 4, 5: offer(randomOffer(client), from: client)
    case 6: finish()
    case 7: now += .milliseconds(numbers.int(0...30_000))
    case 8:
      let seconds = numbers.int(0...1) == 0 ? nil : Duration.seconds(numbers.int(1...100))
      if round.decline(client, until: seconds.map { now + $0 }) { declined.insert(client) }
    default: advance()
    }
  }

  /// All clients connect, train and respond in time, so that the round must close.
  mutating func heal() {
    // Clients that declined are available again, too.
    for client in clients {
      if declined.contains(client), connected.remove(client) != nil { round.leave(client) }
      if connected.insert(client).inserted { join(client) }
    }
    for _ in 0..<8 {
      advance()
      for client in round.cohort { offer(.example(digest: client), from: client) }
      advance()
      finish()
      if case .recruiting = round.phase { now += Round.exampleDeadline }
      if case .training = round.phase, cohort.allSatisfy({ admitted[$0] != nil }),
        admitted.count >= round.rules.quorum
      {
        require(false, "it waits though all are admitted")
      }
    }
    require(outcome != "open", "it does not close: \(round.phase)")
    require(round.nextDeadline == nil, "a closed round has a deadline")
    let closings = done.count { if case .abandon = $0 { true } else { $0 == .commit } }
    require(closings == 1, "it closes \(closings) times")
    require(done.count { $0 == .aggregate } == (outcome == "committed" ? 1 : 0), "aggregations: \(done)")
    let calibrations = done.count { $0 == .calibrate }
    require(calibrations == (outcome == "committed" && round.calibrates ? 1 : 0), "calibrations: \(done)")
  }

  private mutating func randomOffer(_ client: String) -> UpdateOffer {
    switch numbers.int(0...9) {
    case 0: .example(key: Round.exampleKey.nextAttempt)
    case 1: .example(base: "older")
    case 2: .example(bytes: 60)
    case 3: .example(loss: .nan)
    case 4: .example(samples: -1)
    case 5: .example(digest: "\(client) again")
    default: .example(digest: client)
    }
  }

  /// Handles an offer like the coordinator; its bytes are sometimes invalid.
  private mutating func offer(_ offer: UpdateOffer, from client: String) {
    if round.hasAdmitted(offer, from: client) {
      require(admitted[client]?.digest == offer.digest, "it claims to have admitted \(client)")
      return
    }
    if let rejection = round.rejection(of: offer, from: client) {
      let isStrange = isTraining && offer.key == round.key && !cohort.contains(client)
      require((rejection == .notAssigned) == isStrange, "it rejects \(client) as \(rejection)")
      if rejection != .duplicate, rejection != .wrongRound { reject(client) }
    } else if numbers.int(0...9) == 0 {
      reject(client)
    } else {
      require(admitted[client] == nil, "it admits \(client) twice")
      require(isTraining && cohort.contains(client), "it admits \(client) in \(round.phase)")
      guard problems.isEmpty else { return }
      round.admit(offer, from: client)
      admitted[client] = offer
    }
    check()
  }

  private mutating func reject(_ client: String) {
    round.reject(client)
    if cohort.contains(client) { rejected += 1 }
  }

  private var isTraining: Bool { if case .training = round.phase { true } else { false } }

  private mutating func join(_ client: String) {
    for action in round.join(client) {
      guard case .assign(client, _) = action, cohort.contains(client), admitted[client] == nil else {
        require(false, "\(action) as \(client) joins")
        continue
      }
    }
    check()
  }

  private mutating func finish() {
    switch round.phase {
    case .aggregating: round.finishAggregation()
    case .calibrating: round.finishCalibration()
    case .recruiting, .training, .closed: return
    }
    check()
  }

  private mutating func advance() {
    let before = rank
    let actions = round.advance(to: now)
    require(rank >= before, "the phase goes back to \(round.phase)")
    let isReplacement = before == 1 && actions.allSatisfy { if case .assign = $0 { true } else { false } }
    require((rank == before) == (actions.isEmpty || isReplacement), "\(actions) with no change of phase")
    require(round.advance(to: now).isEmpty, "a second advance does more")
    let drawn = before == 0
    cohort = round.cohort
    for action in actions {
      switch action {
      case .assign(let client, let deadline):
        require(cohort.contains(client) && connected.contains(client), "it assigns \(client)")
        let whole = now + Round.exampleDeadline
        require(drawn ? deadline == whole : deadline > now && deadline <= whole, "a deadline of \(deadline)")
      case .release(let client):
        require(cohort.contains(client) && connected.contains(client), "it releases \(client)")
        require(admitted[client] == nil, "it releases \(client), who is admitted")
      case .releaseLate(let client, _): require(false, "it releases \(client), who is not late")
      case .aggregate:
        require(admitted.count >= round.rules.quorum, "it aggregates \(admitted.count) updates")
      case .abandon(.quorumOutOfReach):
        require(rejected > 0, "\(action) with nobody rejected")
      case .abandon: require(rank == 4, "\(action) in \(round.phase)")
      case .calibrate, .commit: require(done.contains(.aggregate), "\(action) before aggregation")
      }
    }
    done += actions
    check()
  }

  /// Checks the invariants.
  private mutating func check() {
    require(round.ledger.admitted == admitted, "the ledger holds \(round.ledger.admitted.keys)")
    require(round.ledger.inClientOrder.map(\.client) == admitted.keys.sorted(), "the ledger's order")
    require(round.cohort == cohort, "the cohort changes to \(round.cohort)")
    // There is one more member for each that declined or was rejected.
    let least = rank == 0 ? 0 : round.rules.quorum
    require(cohort.isEmpty == (rank == 0) && cohort.count >= least, "\(cohort)")
    let most = round.rules.cohort + rejected + declined.count
    require(cohort.count <= most, "\(cohort) for a cohort of \(round.rules.cohort)")
  }

  private var rank: Int {
    switch round.phase {
    case .recruiting: 0
    case .training: 1
    case .aggregating: 2
    case .calibrating: 3
    case .closed: 4
    }
  }

  private mutating func require(_ isMet: Bool, _ problem: String) {
    if !isMet { problems.append(problem) }
  }
}
