import Engine
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

  @Test func onlyAlignmentNeedsTheReferenceBranch() {
    let objective = TinyViT.stage(.layerWise).model.objective
    #expect(TinyViT.options(alignment: 0.01).branches(of: objective) == [.reference])
    #expect(TinyViT.options(proximal: 0.01).branches(of: objective).isEmpty)
  }
}
