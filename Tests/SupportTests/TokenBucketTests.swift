import Support
import Testing

@Suite struct TokenBucketTests {
  /// Returns whether a bucket has a token at each of these seconds.
  private func taken(_ bucket: inout TokenBucket, at seconds: [Double]) -> [Bool] {
    seconds.map { bucket.take(at: .seconds($0)) }
  }

  @Test func soManyAtOnceAndASteadyRateAfterThat() {
    var bucket = TokenBucket(burst: 3, perSecond: 2)
    #expect(taken(&bucket, at: [10, 10, 10, 10, 10]) == [true, true, true, false, false])
    let wait = bucket.wait(at: .seconds(10))
    #expect(wait == .seconds(0.5))
    #expect(taken(&bucket, at: [10.25, 10.5, 10.5]) == [false, true, false])
    // No more tokens are saved than the burst.
    #expect(taken(&bucket, at: [1000, 1000, 1000, 1000]) == [true, true, true, false])
  }

  @Test func timeThatGoesBackwardsGivesNothing() {
    var bucket = TokenBucket(burst: 1, perSecond: 1)
    #expect(taken(&bucket, at: [100, 50, 100.5, 101]) == [true, false, false, true])
  }
}
