import Federation
import Wire

/// So much at once, and so much in a time from then on.
package struct TokenBucket: Sendable {
  /// Tokens that are there at most.
  private let capacity: Double
  /// The time in which one more is there.
  private let interval: Duration
  private var tokens: Double
  private var latest: Duration

  package init(_ capacity: Int, every interval: Duration, at now: Duration) {
    (self.capacity, self.interval, latest) = (Double(capacity), interval, now)
    tokens = self.capacity
  }

  /// Takes a token, which may be one of those to come. Returns how long it is until it is there.
  package mutating func take(at now: Duration) -> Duration {
    fill(at: now)
    tokens -= 1
    return tokens >= 0 ? .zero : interval * -tokens
  }

  /// Takes a token where one is there; returns whether.
  package mutating func takeIfThere(at now: Duration) -> Bool {
    fill(at: now)
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }

  private mutating func fill(at now: Duration) {
    tokens = min(capacity, tokens + max(.zero, now - latest) / interval)
    latest = max(latest, now)
  }
}

/// How often a client may say what costs the server something. One that speaks more often is read more slowly, and one
/// that goes on with what leads to nothing is turned away.
package struct MessageLimiter {
  private var heartbeats: TokenBucket
  private var fetches: TokenBucket
  private var others: TokenBucket
  private var vain: TokenBucket

  /// Messages in vain before a client is turned away, where they come faster than one in ``vainInterval``: an honest
  /// client has one or two in a round that it was late for.
  package static let mostInVain = 32
  package static let vainInterval = Duration.seconds(10)

  init(at now: Duration) {
    // A client says where it is a few times a second at most.
    heartbeats = TokenBucket(100, every: .milliseconds(100), at: now)
    // As many as may wait, and more a second than a link carries.
    fetches = TokenBucket(2048, every: .milliseconds(1), at: now)
    // An offer or a decline a round: a hundred rounds a second are more than there can be.
    others = TokenBucket(64, every: .milliseconds(10), at: now)
    vain = TokenBucket(Self.mostInVain, every: Self.vainInterval, at: now)
  }

  /// How long to wait before a message is acted on, and the next is read.
  mutating func pause(before message: Message, at now: Duration) -> Duration {
    switch message {
    case .heartbeat: heartbeats.take(at: now)
    case .fetch: fetches.take(at: now)
    // Bounded by what was asked for.
    case .update: .zero
    default: others.take(at: now)
    }
  }

  /// A message led to nothing: what it offered was not wanted, what it declined was not asked. Throws
  /// ``TooManyInVain`` where there were too many.
  mutating func noteVain(at now: Duration) throws(TooManyInVain) {
    guard vain.takeIfThere(at: now) else { throw TooManyInVain() }
  }
}

/// A client goes on saying what leads to nothing.
struct TooManyInVain: Error, CustomStringConvertible {
  var description: String {
    "more than \(MessageLimiter.mostInVain) offers, declines and fetches led to nothing"
  }
}
