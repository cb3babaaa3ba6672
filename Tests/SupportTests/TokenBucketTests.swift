import Support
import Testing

@Suite struct TokenBucketTests {
  @Test func soManyAtOnceAndASteadyRateAfterThat() {
    var bucket = TokenBucket(burst: 3, perSecond: 2)
    #expect((0..<5).map { _ in bucket.take(at: .seconds(10)) } == [true, true, true, false, false])
    #expect(bucket.wait(at: .seconds(10)) == .seconds(0.5))
    #expect(!bucket.take(at: .seconds(10.25)))
    #expect(bucket.take(at: .seconds(10.5)) && !bucket.take(at: .seconds(10.5)))
    // No more are kept than there may be at once.
    #expect((0..<5).map { _ in bucket.take(at: .seconds(1000)) } == [true, true, true, false, false])
  }

  @Test func timeThatGoesBackwardsGivesNothing() {
    var bucket = TokenBucket(burst: 1, perSecond: 1)
    #expect(bucket.take(at: .seconds(100)))
    #expect(!bucket.take(at: .seconds(50)) && !bucket.take(at: .seconds(100.5)))
    #expect(bucket.take(at: .seconds(101)))
  }
}
