/// So many at once, and a steady rate after that: a token bucket, as a value that is told the time.
package struct TokenBucket: Sendable {
  private let capacity: Double
  private let perSecond: Double
  private var tokens: Double
  private var last: Duration?

  /// - Parameters:
  ///   - burst: how many may come at once.
  ///   - perSecond: how many may come in a second after those.
  package init(burst: Int, perSecond: Double) {
    precondition(burst >= 1 && perSecond > 0, "a bucket of \(burst) tokens and \(perSecond) a second")
    (capacity, self.perSecond, tokens) = (Double(burst), perSecond, Double(burst))
  }

  /// Takes a token. Returns whether there was one; time that goes backwards adds none.
  package mutating func take(at now: Duration) -> Bool {
    refill(now)
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }

  /// How long it takes from now on until there is a token.
  package mutating func wait(at now: Duration) -> Duration {
    refill(now)
    return .seconds(max(0, (1 - tokens) / perSecond))
  }

  private mutating func refill(_ now: Duration) {
    if let last, now > last { tokens = min(capacity, tokens + (now - last) / .seconds(1) * perSecond) }
    last = max(last ?? now, now)
  }
}
