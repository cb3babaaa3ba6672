/// A token bucket: allows a burst, then a steady rate. It is a value that takes the time as an argument.
package struct TokenBucket: Sendable {
  private let capacity: Double
  private let perSecond: Double
  private var tokens: Double
  private var last: Duration?

  /// - Parameters:
  ///   - burst: The capacity of the bucket.
  ///   - perSecond: The number of tokens added per second.
  package init(burst: Int, perSecond: Double) {
    precondition(burst >= 1 && perSecond > 0, "a bucket of \(burst) tokens and \(perSecond) a second")
    (capacity, self.perSecond, tokens) = (Double(burst), perSecond, Double(burst))
  }

  /// Takes a token and returns true, or returns false if the bucket is empty. Time that goes backwards adds no tokens.
  package mutating func take(at now: Duration) -> Bool {
    refill(now)
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }

  /// Returns the time from `now` until a token is available.
  package mutating func wait(at now: Duration) -> Duration {
    refill(now)
    return .seconds(max(0, (1 - tokens) / perSecond))
  }

  private mutating func refill(_ now: Duration) {
    if let last, now > last { tokens = min(capacity, tokens + (now - last) / .seconds(1) * perSecond) }
    last = max(last ?? now, now)
  }
}
