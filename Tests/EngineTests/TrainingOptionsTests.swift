import Engine
import Foundation
import Testing

@Suite struct TrainingOptionsTests {
  @Test func aConstantRateIsConstant() {
    let schedule = LearningRateSchedule(rate: 0.3)
    #expect((0..<10).allSatisfy { schedule.rate(step: $0, of: 10) == 0.3 })
  }

  @Test func aCosineStartsAtTheRateAndEndsNearZero() {
    let schedule = LearningRateSchedule(.cosine, rate: 0.3)
    let rates = (0..<1000).map { schedule.rate(step: $0, of: 1000) }
    #expect(rates[0] == 0.3)
    #expect(abs(rates[500] - 0.15) < 1e-6)
    #expect(rates[999] >= 0 && rates[999] < 1e-6)
    #expect(zip(rates, rates.dropFirst()).allSatisfy { $0 >= $1 })
  }

  /// A stage of four rounds is one cosine, whichever rounds a client takes part in.
  @Test func theRoundsOfAStageShareOneCosine() {
    let whole = LearningRateSchedule(.cosine, rate: 1)
    for round in 0..<4 {
      let part = LearningRateSchedule(
        .cosine, rate: 1, from: Float(round) / 4, to: Float(round + 1) / 4)
      for step in 0..<5 {
        let expected = whole.rate(step: 5 * round + step, of: 20)
        #expect(abs(part.rate(step: step, of: 5) - expected) < 1e-6, "round \(round), step \(step)")
      }
    }
  }

  /// Two and a half of four rounds rise, from a step's share of the rate to all of it; the cosine covers the rest.
  @Test(arguments: LearningRateSchedule.Kind.allCases)
  func aWarmUpRisesOverTheFirstRounds(kind: LearningRateSchedule.Kind) {
    var rates: [Float] = []
    for round in 0..<4 {
      let part = LearningRateSchedule(
        kind, rate: 0.5, from: Float(round) / 4, to: Float(round + 1) / 4, warmUp: 2.5)
      rates += (0..<6).map { part.rate(step: $0, of: 6) }
    }
    for step in 0..<24 {
      let expected: Double =
        step < 15
        ? 0.5 * Double(step + 1) / 15
        : kind == .constant ? 0.5 : 0.25 * (1 + cos(.pi * Double(step - 15) / 9))
      #expect(abs(Double(rates[step]) - expected) < 1e-6, "step \(step)")
    }
  }

  /// A server could send an empty or a reversed part of the schedule.
  @Test(arguments: [(0, 0), (1, 1), (1, 0), (0.5, 0.25)] as [(Float, Float)])
  func anInvalidPlaceGivesFiniteRates(from: Float, to: Float) {
    for warmUp in [0, 2.5] {
      for kind in LearningRateSchedule.Kind.allCases {
        let schedule = LearningRateSchedule(kind, rate: 1, from: from, to: to, warmUp: warmUp)
        for step in 0..<5 { #expect((0...1).contains(schedule.rate(step: step, of: 5))) }
      }
    }
  }

  @Test func onlyAlignmentNeedsTheReferenceBranch() {
    let objective = TinyViT.stage(.layerWise).model.objective
    #expect(TinyViT.options(alignment: 0.01).branches(of: objective) == [.reference])
    #expect(TinyViT.options(proximal: 0.01).branches(of: objective).isEmpty)
  }
}
