import Federation
import Testing

/// Rounds with diverged trainings.
@Suite struct RoundDivergenceTests {
  @Test func mostOfTheUpdatesDiverged() {
    var round = Round.training()
    round.reject("b", diverged: true)
    #expect(round.advance(to: .seconds(1)) == [], "the others are a quorum")
    round.reject("c", diverged: true)
    let reason = Round.Abandonment.updatesDiverged(2, of: 2)
    #expect(
      round.advance(to: .seconds(1)) == [.release(client: "a"), .release(client: "d"), .abandon(reason)])
    #expect(round.phase == .closed(.abandoned(reason)))
  }

  /// Another reason of rejection does not count as divergence.
  @Test func fewOfTheUpdatesDiverged() {
    var round = Round.training()
    round.reject("a", diverged: true)
    round.reject("b")
    #expect(round.advance(to: .seconds(1)).last == .abandon(.quorumOutOfReach(admitted: 0)))
    round = .training()
    round.admit(.example(), from: "a")
    round.reject("b", diverged: true)
    round.reject("c")
    #expect(round.advance(to: .seconds(1)).last == .abandon(.quorumOutOfReach(admitted: 1)))
  }

  @Test(arguments: [false, true]) func whatWasMadeOfTheUpdatesIsNoModel(calibrates: Bool) {
    var round = Round.training(quorum: 1, calibrates: calibrates)
    for client in ["a", "b", "c", "d"] { round.admit(.example(digest: client), from: client) }
    #expect(round.advance(to: .seconds(1)) == [.aggregate])
    if calibrates {
      round.finishAggregation()
      #expect(round.advance(to: .seconds(2)) == [.calibrate])
    }
    round.diverge()
    #expect(round.advance(to: .seconds(3)) == [.abandon(.modelDiverged)])
    #expect(round.phase == .closed(.abandoned(.modelDiverged)) && round.nextDeadline == nil)
    #expect(round.stragglers == nil)
  }
}
