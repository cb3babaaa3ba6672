import Engine
import Federation
import Testing

/// Rounds whose clients decline or are rejected.
@Suite struct ReplacementTests {
  private let deadline = Round.exampleDeadline

  private func assignments(_ clients: [String], _ deadline: Duration) -> [Round.Action] {
    clients.map { .assign(client: $0, deadline: deadline) }
  }

  /// Returns a round of two of the four connected clients.
  private func pair(_ names: [String] = ["a", "b", "c", "d"]) -> Round {
    var round = Round.example(cohort: 2, quorum: 2, present: names)
    _ = round.advance(to: .zero)
    #expect(round.cohort.count == 2)
    return round
  }

  /// The seed and the round determine the replacement: the next client of a larger cohort.
  @Test func anotherTakesThePlaceOfWhoDeclinesOrIsRejected() {
    let names = (0..<12).map { "c\($0)" }
    for seed in UInt64(0)..<20 {
      var numbers = RandomNumbers(seed: seed)
      var round = Round.example(cohort: 3, quorum: 3, present: names, seed: seed)
      _ = round.advance(to: .zero)
      let ranked = (3...6).map { Cohort.draw($0, from: names, seed: seed, round.key) }
      var out: Set<String> = []
      for (larger, time) in zip(ranked.dropFirst(), [10, 20, 30]) {
        let client = round.cohort.filter { !out.contains($0) }.randomElement(using: &numbers)!
        out.insert(client)
        if numbers.chance(0.5) { _ = round.decline(client) } else { round.reject(client) }
        let next = Set(larger).subtracting(round.cohort)
        let end = Duration.seconds(time) + deadline
        #expect(round.advance(to: .seconds(time)) == assignments(next.sorted(), end), "seed \(seed)")
        #expect(round.cohort == larger, "seed \(seed)")
      }
    }
  }

  /// While there is no quorum, a replacement gets the rest of the deadline; with a quorum, no replacement is asked.
  @Test func aPlaceIsTakenOnlyWhileThereIsNoQuorum() {
    let rules = Plan.RoundRules(cohort: 3, quorum: 2, deadline: .seconds(60))
    var round = Round.example(rules: rules, present: (0..<9).map { "c\($0)" })
    _ = round.advance(to: .zero)
    let first = round.cohort
    round.admit(.example(digest: first[0]), from: first[0])
    _ = round.decline(first[1])
    let actions = round.advance(to: .seconds(40))
    let next = Set(round.cohort).subtracting(first)
    #expect(next.count == 1 && actions == assignments(next.sorted(), deadline))
    round.admit(.example(digest: first[2]), from: first[2])
    _ = round.decline(next.first!)
    #expect(round.advance(to: .seconds(41)) == [.aggregate])
  }

  @Test func whoJoinsTakesTheFreePlaceAndThoseWhoRestTakeItLast() {
    var round = pair(["a", "b"])
    _ = round.decline("b")
    #expect(round.advance(to: .seconds(1)) == [] && round.phase == .training(deadline: deadline))
    _ = round.join("c")
    #expect(round.advance(to: .seconds(50)) == assignments(["c"], .seconds(110)))
    // All places are taken.
    _ = round.join("d")
    #expect(round.advance(to: .seconds(51)) == [])

    let rules = Plan.RoundRules(cohort: 2, quorum: 2, deadline: .seconds(60))
    for names in [["a", "b", "r"], ["a", "b", "c", "r"]] {
      round = Round.example(rules: rules, present: names, resting: ["r"])
      _ = round.advance(to: .zero)
      _ = round.decline(round.cohort[0])
      _ = round.advance(to: .seconds(1))
      #expect(round.cohort.count == 3 && round.cohort.contains("r") == (names.count == 3), "\(round.cohort)")
    }
  }

  /// The deadline applies to clients that train, and is suspended while none do.
  @Test func whoDeclinedIsAskedAgainAfterPausesThatGrow() {
    var round = pair(["a", "b"])
    round.admit(.example(digest: "a"), from: "a")
    var now = Duration.zero
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
      _ = round.decline("b")
      #expect(round.advance(to: now) == [] && round.isWaiting && round.clientsNeeded == 2)
      let next = now + .seconds(pause)
      #expect(round.nextDeadline == next && round.advance(to: next - .milliseconds(1)) == [])
      #expect(round.advance(to: next) == assignments(["b"], next + deadline))
      #expect(!round.isWaiting)
      now = next
    }
    #expect(round.key.attempt == 1 && round.phase == .training(deadline: now + deadline))
    round.admit(.example(digest: "b"), from: "b")
    #expect(round.advance(to: now) == [.aggregate])
  }

  /// A client that declined is asked at the time that it named, or when it reconnects, since a restarted client has no
  /// hours.
  @Test func whoSaidWhenIsNotAskedBeforeUnlessItConnectsAgain() {
    var round = pair(["a", "b"])
    _ = round.decline("b", until: .seconds(900))
    #expect(round.advance(to: .seconds(1)) == [])
    // Client a keeps training past its deadline and is admitted.
    #expect(round.advance(to: .seconds(899)) == [])
    var other = round
    round.admit(.example(digest: "a"), from: "a")
    #expect(round.advance(to: .seconds(899)) == [] && round.nextDeadline == .seconds(900))
    #expect(round.advance(to: .seconds(900)) == assignments(["b"], .seconds(960)))

    other.leave("b")
    #expect(other.advance(to: .seconds(899)) == [])
    #expect(other.join("b") == [])
    #expect(other.advance(to: .seconds(899)) == assignments(["b"], .seconds(959)))
  }

  /// A straggler's time ends at the deadline, whether or not another client declines.
  @Test func aDeclineDoesNotSaveARoundFromItsDeadline() {
    var round = Round.training(quorum: 2)
    _ = round.decline("a")
    round.admit(.example(digest: "b"), from: "b")
    #expect(round.advance(to: deadline - .seconds(1)) == [])
    #expect(
      round.advance(to: deadline) == [
        .release(client: "c"), .release(client: "d"), .abandon(.deadlinePassed(admitted: 1)),
      ])
  }

  @Test func aRejectionPutsTheQuorumOutOfReachWhoeverDeclined() {
    var round = Round.training()
    _ = round.decline("a")
    round.reject("b")
    round.reject("c")
    let reason = Round.Abandonment.quorumOutOfReach(admitted: 0)
    #expect(round.advance(to: .seconds(1)) == [.release(client: "d"), .abandon(reason)])
  }

  /// A rejected client is asked again only in a new attempt. The attempt does not need clients that declined and left,
  /// but they may return until the deadline.
  @Test(arguments: [true, false])
  func aNewAttemptDoesNotWaitForWhoDeclinedAndLeft(comesBack: Bool) {
    var round = pair(["a", "b", "c"])
    let (first, second) = (round.cohort[0], round.cohort[1])
    let third = ["a", "b", "c"].first { !round.cohort.contains($0) }!
    round.reject(first)
    #expect(round.advance(to: .seconds(1)).count == 1)
    _ = round.decline(second)
    round.leave(second)
    round.admit(.example(digest: third), from: third)
    #expect(round.advance(to: .seconds(2)) == [])
    let end = Duration.seconds(2) + deadline
    #expect(round.advance(to: end - .seconds(1)) == [] && round.nextDeadline == end)
    if comesBack {
      _ = round.join(second, at: end - .seconds(1))
      #expect(round.advance(to: end - .seconds(1)) == assignments([second], end - .seconds(1) + deadline))
    } else {
      var alone = round
      alone.leave(first)
      #expect(alone.advance(to: end) == [], "a new attempt would have no quorum either")
      #expect(round.advance(to: end) == [.abandon(.quorumOutOfReach(admitted: 1))])
    }
  }

  @Test func patienceEndsForThoseWhoDeclineToo() {
    let rules = Plan.RoundRules(cohort: 2, quorum: 2, timeout: .seconds(600), deadline: .seconds(60))
    var round = Round.example(rules: rules, present: ["a", "b"])
    _ = round.advance(to: .zero)
    _ = round.decline("b", until: .seconds(500))
    #expect(round.advance(to: .seconds(10)) == [])
    #expect(round.advance(to: .seconds(500)).count == 1, "it is asked again")
    _ = round.decline("b", until: .seconds(5000))
    round.admit(.example(digest: "a"), from: "a")
    #expect(round.advance(to: .seconds(609)) == [] && round.nextDeadline == .seconds(610))
    #expect(round.advance(to: .seconds(610)) == [.abandon(.tooFewClients(present: 1))])
  }

  /// A restarted server knows which clients declined, and does not wait for them until the deadline.
  @Test func aResumedRoundKnowsWhoDeclined() {
    let rules = Plan.RoundRules(cohort: 2, quorum: 2, deadline: .seconds(60))
    var round = Round.example(rules: rules, present: [])
    round.resume(
      cohort: ["a", "b"], admitted: [("a", .example(digest: "a"))], rejected: [], declined: ["b"], at: .zero)
    #expect(round.join("c") == [])
    #expect(round.advance(to: .seconds(1)) == assignments(["c"], .seconds(61)))
  }
}
