import Federation
import Testing

/// The end of a round's wait for clients.
@Suite struct RoundTimeoutTests {
  /// A quorum that connects shortly before the timeout trains; `wait` would end after it (seed 547013942 of the check).
  @Test func aQuorumAtTheTimeoutBegins() {
    var rules = Plan.RoundRules(cohort: 3, quorum: 2, minimumClients: 5, deadline: .seconds(60))
    (rules.timeout, rules.wait) = (.seconds(61), .seconds(60))
    var round = Round.example(rules: rules, needed: 5, present: ["a"])
    _ = round.join("b", at: .seconds(3))
    _ = round.join("c", at: .seconds(4))
    #expect(round.advance(to: .seconds(4)) == [] && round.nextDeadline == .seconds(61))
    #expect(round.advance(to: .seconds(61)).count == 3 && round.cohort == ["a", "b", "c"])
  }

  @Test func nobodyIsWaitedForForEver() {
    var rules = Plan.RoundRules(cohort: 3, quorum: 2, deadline: .seconds(60))
    rules.timeout = .seconds(100)
    var round = Round.example(rules: rules, present: ["a"])
    #expect(round.advance(to: .seconds(1)) == [] && round.nextDeadline == .seconds(100))
    #expect(round.advance(to: .seconds(99)) == [])
    #expect(round.advance(to: .seconds(100)) == [.abandon(.tooFewClients(present: 1))])
  }
}
