import Engine
import Testing

@Suite struct FineTuningOptionsTests {
  @Test func theBatchIsAllImagesWhereThereAreFewer() {
    #expect(FineTuning.Options(epochs: 1, images: 100).batch == 100)
    #expect(FineTuning.Options(epochs: 1, images: 2000).batch == 256)
  }

  @Test func theRateRisesForATenthOfTheStepsAndThenFalls() {
    let options = FineTuning.Options(epochs: 1, images: 512)
    let rates = (0..<40).map { options.training.schedule.rate(step: $0, of: 40) }
    #expect(rates[0..<4].elementsEqual([0.25e-3, 0.5e-3, 0.75e-3, 1e-3]), "\(rates)")
    #expect(rates[4] == 1e-3 && rates[5] < rates[4])
    #expect(abs(rates[22] - 0.5e-3) < 1e-9, "half way down at half the cosine")
    #expect(zip(rates[4...], rates[5...]).allSatisfy { $0 > $1 })
    #expect(rates[39] > 0 && rates[39] < 0.01e-3)
  }

  @Test func theRateGoesWithTheBatch() {
    let options = FineTuning.Options(epochs: 1, images: 64)
    #expect(options.training.schedule.rate(step: 10, of: 100) == 0.25e-3)
  }

  @Test(arguments: [1, 2, 3, 9]) func fewStepsHaveARateToo(steps: Int) {
    let rates = (0..<steps).map {
      FineTuning.Options(epochs: 1, images: 256).training.schedule.rate(step: $0, of: steps)
    }
    #expect(rates[0] == 1e-3 && rates.allSatisfy { $0 > 0 && $0 <= 1e-3 }, "\(rates)")
  }
}
