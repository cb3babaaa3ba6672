import Engine
import Federation
import Testing

@Suite struct RoundTests {
  private let deadline = Round.exampleDeadline

  private func assignments(_ clients: [String], _ deadline: Duration) -> [Round.Action] {
    clients.map { .assign(client: $0, deadline: deadline) }
  }

  // MARK: - Recruiting

  @Test func recruitsUntilAllNeededArePresent() {
    var round = Round.example(cohort: 2, quorum: 1, needed: 3, present: ["a", "b"], at: .seconds(5))
    #expect(round.advance(to: .seconds(6)) == [])
    #expect(round.phase == .recruiting && round.cohort == [])
    #expect(round.nextDeadline == .seconds(16), "ten seconds after there was a quorum")
    #expect(round.join("b") == [] && round.join("c") == [])
    round.leave("a")
    #expect(round.advance(to: .seconds(7)) == [])
    _ = round.join("d")
    let actions = round.advance(to: .seconds(8))
    #expect(round.cohort.count == 2 && Set(round.cohort).isSubset(of: ["b", "c", "d"]))
    #expect(actions == assignments(round.cohort, .seconds(68)))
    #expect(round.phase == .training(deadline: .seconds(68)))
    #expect(round.nextDeadline == .seconds(68))
  }

  @Test func waitsForAWholeCohortWhereFewerAreNeeded() {
    var round = Round.example(cohort: 4, quorum: 1, needed: 1, present: ["a", "b", "c"])
    #expect(round.advance(to: .seconds(59)) == [])
    _ = round.join("d")
    #expect(round.advance(to: .seconds(59)).count == 4)
  }

  /// With a quorum, the round waits for the others for the plan's time and no longer.
  @Test func aQuorumIsEnoughAfterTheWait() {
    var rules = Plan.RoundRules(cohort: 4, quorum: 2, deadline: .seconds(60))
    rules.wait = .seconds(7)
    var round = Round.example(rules: rules, needed: 9, present: ["a"])
    #expect(round.advance(to: .seconds(50)) == [] && round.clientsNeeded == 9)
    _ = round.join("b")
    #expect(round.advance(to: .seconds(51)) == [] && round.nextDeadline == .seconds(58))
    round.leave("b")
    #expect(round.advance(to: .seconds(57)) == [] && round.clientsNeeded == 9)
    _ = round.join("b")
    #expect(round.advance(to: .seconds(58)) == assignments(["a", "b"], .seconds(118)))
    #expect(round.clientsNeeded == 2 && round.missing == 2)
  }

  /// A round does not wait for a device that was missing in the last one; when it returns it is asked like the others.
  @Test func whoWasMissingIsNotWaitedForAgain() {
    let rules = Plan.RoundRules(cohort: 4, quorum: 2, deadline: .seconds(60))
    var round = Round.example(rules: rules, present: ["a", "b", "c"], missing: 1)
    #expect(round.clientsNeeded == 3)
    #expect(round.advance(to: .zero) == assignments(["a", "b", "c"], deadline) && round.missing == 1)
    round = Round.example(rules: rules, present: ["a", "b"], missing: 1)
    #expect(round.advance(to: .zero) == [] && round.nextDeadline == .seconds(10), "c is a new case")
    round = Round.example(rules: rules, present: ["a", "b", "c", "d"], missing: 1)
    #expect(round.advance(to: .zero).count == 4 && round.missing == 0)
    // However many are missing, a quorum is necessary.
    round = Round.example(rules: rules, present: ["a"], missing: 4)
    #expect(round.advance(to: .zero) == [] && round.clientsNeeded == 2)
  }

  @Test func nobodyIsAskedBeforeItOpens() {
    var round = Round.example(rules: Plan.RoundRules(), at: .seconds(5), opens: .seconds(9))
    #expect(round.advance(to: .milliseconds(8999)) == [] && round.nextDeadline == .seconds(9))
    #expect(round.advance(to: .seconds(9)).count == 4)
  }

  @Test func pausesGrowUpToTheDeadline() {
    let rules = Plan.RoundRules(deadline: .seconds(60))
    #expect((0..<8).map { rules.pause(after: $0) } == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
    #expect(rules.pause(after: .max) == .seconds(60))
  }

  /// A client that has declined is not asked before its time, and the round does not wait for it if the others suffice.
  @Test func whoIsAwayIsAskedLater() {
    let rules = Plan.RoundRules(cohort: 3, quorum: 2, deadline: .seconds(60))
    let away = ["a": Duration.seconds(500), "b": .seconds(40), "x": .seconds(7)]
    var round = Round.example(rules: rules, present: ["a", "b", "c"], away: away)
    #expect(round.advance(to: .zero) == [] && round.available == 1)
    #expect(round.nextDeadline == .seconds(40), "x is not here")
    let late = Duration.seconds(40)
    #expect(round.advance(to: late) == assignments(["b", "c"], late + deadline))

    var other = Round.example(rules: rules, present: ["a", "b", "c"], away: ["a": .seconds(500)])
    #expect(other.advance(to: .zero) == assignments(["b", "c"], deadline), "all three are here")
  }

  @Test func whoIsAwayAndComesBackIsThere() {
    let rules = Plan.RoundRules(cohort: 2, quorum: 2, deadline: .seconds(60))
    var round = Round.example(rules: rules, present: ["a", "b"], away: ["a": .seconds(500)])
    #expect(round.advance(to: .seconds(1)) == [])
    round.leave("a")
    _ = round.join("a")
    #expect(round.advance(to: .seconds(2)) == assignments(["a", "b"], .seconds(2) + deadline))
  }

  @Test func theCohortDoesNotDependOnTheOrderOfJoining() {
    let clients = (0..<12).map { "c\($0)" }
    for seed in UInt64(0)..<50 {
      var numbers = RandomNumbers(seed: seed)
      let cohorts = (0..<3).map { _ in
        var round = Round.example(present: [String](), seed: seed)
        let order = clients.shuffled(using: &numbers)
        for client in order { _ = round.join(client) }
        _ = round.advance(to: .zero)
        return round.cohort
      }
      #expect(cohorts[0].count == 4 && Set(cohorts).count == 1, "seed \(seed): \(cohorts)")
    }
  }

  // MARK: - End of training

  @Test func whenAllAreAdmittedItAggregates() {
    var round = Round.training()
    for client in ["c", "a", "d"] {
      round.admit(.example(digest: client), from: client)
      #expect(round.advance(to: .seconds(1)) == [])
    }
    round.admit(.example(digest: "b"), from: "b")
    #expect(round.advance(to: .seconds(2)) == [.aggregate])
    #expect(round.phase == .aggregating && round.nextDeadline == nil)
  }

  @Test func theOrderOfAggregationIsNotThatOfArrival() {
    for seed in UInt64(0)..<20 {
      var numbers = RandomNumbers(seed: seed)
      var round = Round.training()
      for client in round.cohort.shuffled(using: &numbers) {
        round.admit(.example(digest: client), from: client)
      }
      #expect(round.ledger.inClientOrder.map(\.client) == ["a", "b", "c", "d"], "seed \(seed)")
      let digests = ["a", "b", "c", "d"].map { Digest(label: $0) }
      #expect(round.ledger.inClientOrder.map(\.offer.digest) == digests, "seed \(seed)")
    }
  }

  @Test func aQuorumAtTheDeadlineReleasesTheStragglers() {
    var round = Round.training(quorum: 2)
    round.admit(.example(digest: "d"), from: "d")
    round.admit(.example(digest: "b"), from: "b")
    #expect(round.advance(to: deadline - .milliseconds(1)) == [])
    #expect(round.advance(to: deadline) == [.release(client: "a"), .release(client: "c"), .aggregate])
  }

  @Test func thoseWhoAreGoneOrRejectedAreNeitherWaitedForNorReleased() {
    var round = Round.training(quorum: 2)
    round.admit(.example(digest: "a"), from: "a")
    round.admit(.example(digest: "b"), from: "b")
    round.leave("c")
    #expect(round.advance(to: .seconds(1)) == [])
    round.reject("d")
    #expect(round.advance(to: .seconds(1)) == [.aggregate])
  }

  @Test func tooFewAtTheDeadlineAbandonIt() {
    var round = Round.training()
    round.admit(.example(), from: "a")
    round.leave("b")
    let reason = Round.Abandonment.deadlinePassed(admitted: 1)
    #expect(
      round.advance(to: deadline) == [.release(client: "c"), .release(client: "d"), .abandon(reason)])
    #expect(round.phase == .closed(.abandoned(reason)) && round.nextDeadline == nil)
  }

  @Test func aQuorumOutOfReachAbandonsItAtOnce() {
    var round = Round.training()
    round.admit(.example(), from: "a")
    round.reject("b")
    #expect(round.advance(to: .seconds(1)) == [])
    round.reject("c")
    let reason = Round.Abandonment.quorumOutOfReach(admitted: 1)
    #expect(round.advance(to: .seconds(1)) == [.release(client: "d"), .abandon(reason)])
  }

  @Test func thoseWhoAreGoneMayComeBackUntilTheDeadline() {
    var round = Round.training()
    for client in round.cohort { round.leave(client) }
    #expect(round.advance(to: deadline - .milliseconds(1)) == [])
    #expect(round.advance(to: deadline) == [.abandon(.deadlinePassed(admitted: 0))])
  }

  // MARK: - Members

  @Test func aMemberThatComesBackIsAssignedAgain() {
    var round = Round.training()
    #expect(round.join("b") == [], "it never left")
    round.leave("b")
    #expect(round.join("b") == [.assign(client: "b", deadline: deadline)])
    #expect(round.join("b") == [])
    #expect(round.join("unknown") == [])
  }

  @Test func aMemberThatHasAnsweredIsNotAssignedAgain() {
    var round = Round.training()
    round.admit(.example(), from: "a")
    round.reject("b")
    for client in ["a", "b"] {
      round.leave(client)
      #expect(round.join(client) == [], "\(client)")
    }
  }

  @Test func nobodyIsAssignedAfterTraining() {
    var round = Round.training(quorum: 2)
    for client in ["a", "b", "c"] { round.admit(.example(digest: client), from: client) }
    round.leave("d")
    #expect(round.advance(to: .seconds(1)) == [.aggregate])
    #expect(round.join("d") == [])
  }

  // MARK: - After training

  private func aggregating(calibrates: Bool) -> Round {
    var round = Round.training(calibrates: calibrates)
    for client in round.cohort { round.admit(.example(digest: client), from: client) }
    _ = round.advance(to: .seconds(1))
    return round
  }

  @Test func commitsAfterAggregation() {
    var round = aggregating(calibrates: false)
    #expect(round.advance(to: .seconds(1000)) == [])
    round.finishAggregation()
    #expect(round.phase == .aggregating)
    #expect(round.advance(to: .seconds(1000)) == [.commit])
    #expect(round.phase == .closed(.committed))
  }

  @Test func calibratesBeforeItCommits() {
    var round = aggregating(calibrates: true)
    round.finishAggregation()
    #expect(round.advance(to: .seconds(2)) == [.calibrate])
    #expect(round.phase == .calibrating && round.nextDeadline == nil)
    #expect(round.advance(to: .seconds(1000)) == [])
    round.finishCalibration()
    #expect(round.advance(to: .seconds(1000)) == [.commit])
    #expect(round.phase == .closed(.committed))
  }

  @Test func advancingTwiceDoesNoMore() {
    var round = Round.example(calibrates: true)
    func advance(_ now: Duration) -> Int {
      let count = round.advance(to: now).count
      let phase = round.phase
      #expect(round.advance(to: now) == [] && round.phase == phase, "\(phase)")
      return count
    }
    #expect(advance(.zero) == 4)
    for client in round.cohort { round.admit(.example(digest: client), from: client) }
    #expect(advance(.seconds(1)) == 1)
    round.finishAggregation()
    #expect(advance(.seconds(2)) == 1)
    round.finishCalibration()
    #expect(advance(.seconds(3)) == 1)
    #expect(advance(.seconds(3000)) == 0)
  }

  @Test func whoDeclinesIsNotWaitedFor() {
    var round = Round.training()
    for client in ["a", "b", "c"] { round.admit(.example(digest: client), from: client) }
    #expect(round.advance(to: .seconds(1)) == [])
    let answers = ["d", "d", "unknown", "a"].map { round.decline($0) }
    #expect(answers == [true, false, false, false])
    #expect(round.advance(to: .seconds(1)) == [.aggregate])
  }

  @Test func spareClientsMakeUpForStragglers() {
    var round = Round.example(
      rules: Plan.RoundRules(cohort: 2, quorum: 2, overSelection: 2, deadline: .seconds(60)))
    let assigned = round.advance(to: .zero)
    #expect(assigned.count == 4, "a cohort of two and two more")
    round.admit(.example(digest: "a"), from: "a")
    #expect(round.advance(to: .seconds(1)) == [])
    round.admit(.example(digest: "c"), from: "c")
    #expect(round.advance(to: .seconds(2)) == [.release(client: "b"), .release(client: "d"), .aggregate])
  }

  // MARK: - Late updates

  /// Returns a round of `a` and `b` with a quorum of one, closed at its deadline while `b` still trains.
  private func closedWithoutB(late waits: Bool) -> Round {
    let rules = Plan.RoundRules(cohort: 2, quorum: 1, deadline: .seconds(60))
    var round = Round.example(rules: rules, present: ["a", "b"], waitsForStragglers: waits)
    _ = round.advance(to: .zero)
    round.admit(.example(digest: "a"), from: "a")
    let actions = round.advance(to: deadline)
    #expect(actions == (waits ? [.aggregate] : [.release(client: "b"), .aggregate]))
    return round
  }

  @Test func aStragglerGoesOnForTheNextRoundWhereThePlanSaysSo() {
    for waits in [true, false] {
      var round = closedWithoutB(late: waits)
      #expect(round.comesBetween(.example(digest: "b"), from: "b") == waits)
      #expect(!round.comesBetween(.example(digest: "b"), from: "a"))
      #expect(round.rejection(of: .example(digest: "b"), from: "b") == (waits ? nil : .wrongRound))
      #expect(round.stragglers == nil, "it is not over yet")
      round.finishAggregation()
      #expect(round.advance(to: deadline) == [.commit])
      #expect(round.stragglers?.clients == (waits ? ["b"] : nil))
      #expect(round.stragglers?.key == (waits ? round.key : nil))
    }
  }

  /// Returns the next round, in which `b` may still offer its update.
  private func next(_ present: [String], quorum: Int = 1) -> (round: Round, old: RoundKey) {
    var before = closedWithoutB(late: true)
    before.finishAggregation()
    _ = before.advance(to: deadline)
    let rules = Plan.RoundRules(cohort: 2, quorum: quorum, deadline: .seconds(60))
    let key = RoundKey(stage: before.key.stage, round: before.key.round + 1)
    return (
      Round.example(
        rules: rules, needed: 1, present: present, key: key, late: before.stragglers, at: deadline),
      before.key
    )
  }

  @Test func aLateUpdateIsTakenAndItsClientIsNotAskedMeanwhile() {
    var (round, old) = next(["a", "b"])
    #expect(round.advance(to: deadline).count == 1 && round.cohort == ["a"])
    let late = UpdateOffer.example(key: old, digest: "b")
    #expect(round.isLate(late, from: "b") && round.rejection(of: late, from: "b") == nil)
    #expect(round.rejection(of: late, from: "a") == .wrongRound)
    round.admitLate(.example(key: round.key, digest: "b"), from: "b")
    #expect(round.ledger.admitted.keys.sorted() == ["b"])
    #expect(round.rejection(of: late, from: "b") == .wrongRound, "once")
    round.admit(.example(key: round.key, digest: "a"), from: "a")
    #expect(round.advance(to: deadline + .seconds(1)) == [.aggregate])
  }

  @Test func whoIsLateTwiceIsToldToStop() {
    var (round, old) = next(["a", "b"])
    _ = round.advance(to: deadline)
    round.admit(.example(key: round.key, digest: "a"), from: "a")
    #expect(
      round.advance(to: deadline + .seconds(1)) == [.releaseLate(client: "b", old), .aggregate])
    #expect(!round.isLate(.example(key: old, digest: "b"), from: "b"))
  }

  @Test func aLatecomerIsAskedAnewWhereTheOthersAreNoQuorum() {
    var (round, old) = next(["a", "b"], quorum: 2)
    #expect(round.advance(to: deadline).count == 2)
    #expect(!round.isLate(.example(key: old, digest: "b"), from: "b"))
  }

  @Test func whoLeavesIsNotLateAnyMore() {
    var (round, old) = next(["a", "b"])
    round.leave("b")
    #expect(round.rejection(of: .example(key: old, digest: "b"), from: "b") == .wrongRound)
  }

  /// A restarted server knows which updates it had admitted.
  @Test func aResumedRoundCountsLateUpdates() {
    let rules = Plan.RoundRules(cohort: 2, quorum: 1, deadline: .seconds(60))
    var round = Round.example(rules: rules, needed: 1, present: ["a", "b", "c"])
    round.resume(cohort: ["a"], admitted: [("b", .example(digest: "b"))], rejected: [], at: .zero)
    #expect(round.cohort == ["a"] && round.ledger.admitted.keys.sorted() == ["b"])
    // Without a cohort it draws one, excluding the clients whose updates are here.
    var early = Round.example(rules: rules, needed: 1, present: ["a", "b", "c"])
    early.resume(cohort: [], admitted: [("b", .example(digest: "b"))], rejected: [], at: .zero)
    #expect(early.phase == .recruiting)
    _ = early.advance(to: .zero)
    #expect(early.cohort == ["a", "c"])
  }

  /// Clients that have returned are asked again; the round waits briefly for the others.
  @Test func aRoundGoesOnAfterTheServerWasAway() {
    var round = Round.example(
      rules: Plan.RoundRules(cohort: 3, quorum: 2, deadline: .seconds(60)), present: [])
    round.resume(
      cohort: ["a", "b", "c"], admitted: [("a", .example(digest: "a")), ("b", .example(digest: "b"))],
      rejected: [], at: .zero)
    #expect(round.advance(to: .seconds(1)) == [], "c may come back")
    #expect(round.nextDeadline == .seconds(30))
    #expect(round.join("a") == [], "it was heard already")
    #expect(round.hasAdmitted(.example(digest: "a"), from: "a"))
    let answer = round.join("c")
    #expect(answer == [.assign(client: "c", deadline: .seconds(60))])
    #expect(round.advance(to: .seconds(31)) == [], "c trains")
    round.leave("c")
    #expect(round.advance(to: .seconds(32)) == [.aggregate])
  }
}
