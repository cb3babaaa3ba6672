import Engine
import Testing

@Suite struct RandomNumbersTests {
  /// The numbers of SplitMix64's published code.
  @Test func isSplitMix64() {
    var zero = RandomNumbers(0)
    #expect(
      (0..<3).map { _ in zero.next() } == [
        0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F,
      ])
    var other = RandomNumbers(1_234_567)
    #expect(
      (0..<5).map { _ in other.next() } == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
        4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
      ])
  }

  @Test func everyPurposeHasAStreamOfItsOwn() {
    var seeds: Set<UInt64> = []
    for seed: UInt64 in [0, 1, .max] {
      for purpose in ["", "a", "b", "ab", "ba"] {
        for numbers in [[], [0], [1], [-1], [0, 0], [0, 1], [1, 0], [.max]] {
          seeds.insert(RandomNumbers.derive(seed, purpose, numbers))
        }
      }
    }
    #expect(seeds.count == 3 * 5 * 8)
    var (derived, direct) = (
      RandomNumbers(5, "x", 1, 2), RandomNumbers(RandomNumbers.derive(5, "x", [1, 2]))
    )
    #expect(derived.next() == direct.next())
  }

  @Test func uniformNumbersFillTheirRange() {
    var random = RandomNumbers(211)
    let numbers = (0..<100_000).map { _ in random.uniform() }
    #expect(numbers.allSatisfy { $0 >= 0 && $0 < 1 }, "seed 211")
    var counts = Array(repeating: 0, count: 10)
    for number in numbers { counts[Int(number * 10)] += 1 }
    // Ten thousand each; 500 is more than five standard deviations.
    #expect(counts.allSatisfy { abs($0 - 10_000) < 500 }, "\(counts), seed 211")
    #expect((0..<1000).allSatisfy { _ in (-3..<5).contains(random.uniform(-3, 5)) }, "seed 211")
  }

  @Test func belowReachesEveryNumber() {
    var random = RandomNumbers(212)
    var counts = Array(repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[random.below(7)] += 1 }
    #expect(counts.allSatisfy { abs($0 - 10_000) < 500 }, "\(counts), seed 212")
    #expect((0..<10).allSatisfy { _ in random.below(1) == 0 })
  }

  @Test func chanceIsAProbability() {
    var random = RandomNumbers(213)
    let hits = (0..<100_000).filter { _ in random.chance(0.2) }.count
    #expect(abs(hits - 20_000) < 700, "seed 213")
    #expect((0..<1000).allSatisfy { _ in !random.chance(0) && random.chance(1) }, "seed 213")
  }

  @Test func normalNumbersHaveTheirMoments() {
    var random = RandomNumbers(214)
    let numbers = (0..<200_000).map { _ in Double(random.normal()) }
    let moments = (1...4).map { power in
      numbers.reduce(0) { sum, x in sum + (0..<power).reduce(1) { product, _ in product * x } } / 200_000
    }
    // 0, 1, 0 and 3; the bounds are five standard deviations of the estimates.
    for (got, (expected, bound)) in zip(moments, [(0.0, 0.012), (1, 0.016), (0, 0.044), (3, 0.11)]) {
      #expect(abs(got - expected) < bound, "\(moments), seed 214")
    }
    #expect(numbers.allSatisfy { $0.isFinite && abs($0) < 9 }, "seed 214")
  }
}
