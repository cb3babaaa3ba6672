import Federation
import Testing

@Suite struct RoundRejectionTests {
  @Test func takesWhatItExpects() {
    let round = Round.training()
    #expect(round.rejection(of: .example(), from: "a") == nil)
    #expect(round.rejection(of: .example(samples: 100_000_000, loss: -1, seconds: 0), from: "a") == nil)
  }

  @Test(arguments: [
    (UpdateOffer.example(key: RoundKey(stage: 1, round: 3)), Rejection.wrongRound),
    (.example(key: RoundKey(stage: 2, round: 4)), .wrongRound),
    (.example(key: Round.exampleKey.nextAttempt), .wrongRound),
    (.example(base: "older"), .wrongBase), (.example(bytes: 63), .wrongSize),
    (.example(bytes: -1), .wrongSize),
    (.example(loss: .nan), .notFinite), (.example(loss: -.infinity), .notFinite),
    (.example(seconds: .infinity), .notFinite), (.example(samples: 0), .overLimit),
    (.example(samples: -5), .overLimit), (.example(samples: 100_000_001), .overLimit),
    (.example(samples: .max), .overLimit), (.example(steps: 0), .overLimit),
  ])
  func saysWhy(offer: UpdateOffer, rejection: Rejection) {
    #expect(Round.training().rejection(of: offer, from: "a") == rejection)
  }

  @Test func rejectsThoseOutsideTheCohort() {
    var round = Round.training(cohort: 2, quorum: 1)
    let outsiders = Set(["a", "b", "c", "d"]).subtracting(round.cohort)
    #expect(outsiders.count == 2)
    for client in outsiders.union(["unheard of"]) {
      #expect(round.rejection(of: .example(), from: client) == .notAssigned)
    }
    _ = round.join("late")
    #expect(round.rejection(of: .example(), from: "late") == .notAssigned)
  }

  @Test func takesUpdatesInTrainingOnly() {
    var round = Round.example()
    #expect(round.rejection(of: .example(), from: "a") == .wrongRound)
    _ = round.advance(to: .zero)
    for client in ["a", "b", "c"] { round.admit(.example(digest: client), from: client) }
    _ = round.advance(to: Round.exampleDeadline)
    #expect(round.phase == .aggregating)
    #expect(round.rejection(of: .example(), from: "d") == .wrongRound)
    round.finishAggregation()
    _ = round.advance(to: Round.exampleDeadline)
    #expect(round.rejection(of: .example(), from: "d") == .wrongRound)
  }

  @Test func aRepeatedOfferIsKnownAndOtherBytesAreADuplicate() {
    var round = Round.training()
    let offer = UpdateOffer.example(digest: "first")
    #expect(!round.hasAdmitted(offer, from: "a"))
    round.admit(offer, from: "a")
    #expect(round.hasAdmitted(offer, from: "a"))
    #expect(!round.hasAdmitted(offer, from: "b"))
    #expect(!round.hasAdmitted(.example(key: Round.exampleKey.nextAttempt, digest: "first"), from: "a"))
    #expect(!round.hasAdmitted(.example(digest: "second"), from: "a"))
    #expect(round.rejection(of: .example(digest: "second"), from: "a") == .duplicate)
    #expect(round.rejection(of: .example(base: "older", digest: "second"), from: "a") == .duplicate)
    #expect(round.ledger.admitted == ["a": offer])
    for client in ["b", "c", "d"] { round.admit(.example(digest: client), from: client) }
    _ = round.advance(to: .seconds(1))
    #expect(round.phase == .aggregating)
    #expect(round.hasAdmitted(offer, from: "a"), "the acknowledgement may be lost for long")
  }

  /// A member whose connection is lost after its last byte has done its work.
  @Test func takesTheUpdateOfOneWhoHasJustGone() {
    var round = Round.training()
    round.leave("a")
    #expect(round.rejection(of: .example(), from: "a") == nil)
    round.admit(.example(), from: "a")
    #expect(round.join("a") == [])
  }

  @Test func everyRejectionExplainsItself() {
    #expect(Set(Rejection.allCases.map(\.explanation)).count == Rejection.allCases.count)
  }
}
