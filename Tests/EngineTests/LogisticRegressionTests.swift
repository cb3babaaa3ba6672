import Engine
import Testing

@Suite struct LogisticRegressionTests {
  /// Returns normal features of three classes whose centres differ in the first columns; the last column is constant.
  private static func examples(
    _ count: Int, distance: Float, seed: UInt64
  ) -> (owner: StorageBoxed, examples: LogisticRegression.Examples) {
    var random = RandomNumbers(seed)
    let boxed = StorageBoxed(count, 5)
    let labels = (0..<count).map { $0 % 3 }
    for row in 0..<count {
      for column in 0..<4 {
        let value = random.normal() + (column == labels[row] ? distance : 0)
        boxed.matrix[row, column] = value * Float(1 + 50 * (column % 2)) + 7
      }
      boxed.matrix[row, 4] = 0.1
    }
    return (boxed, LogisticRegression.Examples(boxed.matrix, labels: labels))
  }

  private static func evaluate(
    _ distances: (Float, Float, Float), _ regression: LogisticRegression = LogisticRegression(),
    workers: Int = 1,
    seed: UInt64
  ) -> LogisticRegression.Result {
    let train = examples(150, distance: distances.0, seed: seed)
    let validation = examples(300, distance: distances.1, seed: seed + 1)
    let test = examples(600, distance: distances.2, seed: seed + 2)
    return withExtendedLifetime((train.owner, validation.owner, test.owner)) {
      regression.evaluate(
        train: train.examples, validation: validation.examples, test: test.examples, classes: 3, seed: seed,
        workers: Workers(workers))
    }
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func separatesWhatIsSeparable(seed: UInt64) {
    let result = Self.evaluate((8, 8, 8), seed: seed)
    #expect(result.test > 0.98 && result.validation > 0.98, "\(result), seed \(seed)")
  }

  @Test(arguments: [4, 5] as [UInt64]) func findsNothingInNoise(seed: UInt64) {
    let result = Self.evaluate((0, 0, 0), seed: seed)
    #expect(abs(result.test - 1 / 3.0) < 0.06, "\(result), seed \(seed)")
  }

  /// The epoch is chosen on the validation examples: where their classes are swapped, training makes them worse, so that
  /// an early epoch is the best.
  @Test func theFirstBestEpochOfTheValidationExamplesCounts() {
    let swapped = Self.evaluate((8, -8, 8), seed: 6)
    let plain = Self.evaluate((8, 8, 8), seed: 6)
    #expect(swapped.epoch < plain.epoch && swapped.test < plain.test, "\(swapped), \(plain), seed 6")
    // From the best epoch on, more of them change nothing.
    var short = LogisticRegression()
    short.epochs = plain.epoch
    #expect(Self.evaluate((8, 8, 8), short, seed: 6) == plain)
  }

  @Test func withoutStandardisationScalesCount() {
    var regression = LogisticRegression()
    (regression.standardises, regression.epochs) = (false, 5)
    let raw = Self.evaluate((2, 2, 2), regression, seed: 7)
    regression.standardises = true
    let standardised = Self.evaluate((2, 2, 2), regression, seed: 7)
    #expect(raw != standardised)
  }

  @Test func workersChangeNothing() {
    #expect(Self.evaluate((2, 2, 2), seed: 8) == Self.evaluate((2, 2, 2), workers: 3, seed: 8))
  }

  @Test func withoutValidationExamplesTheLastEpochCounts() {
    let (train, test) = (Self.examples(60, distance: 8, seed: 9), Self.examples(60, distance: 8, seed: 10))
    let none = StorageBoxed(0, 5)
    let result = LogisticRegression().evaluate(
      train: train.examples, validation: LogisticRegression.Examples(none.matrix, labels: []),
      test: test.examples, classes: 3, seed: 9, workers: Workers(1))
    #expect(result.epoch == 1000 && result.test > 0.95, "\(result), seeds 9 and 10")
  }
}
