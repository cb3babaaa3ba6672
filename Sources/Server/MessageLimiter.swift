import Engine
import Federation
import Support
import Wire

/// Limits the rate of a client's messages. A client that exceeds it is read more slowly; one that keeps sending
/// messages in vain is rejected.
package struct MessageLimiter {
  // A client sends its progress a few times per second at most.
  private var heartbeats = TokenBucket(burst: 100, perSecond: 10)
  // As many as may wait, and more per second than a link carries.
  private var fetches = TokenBucket(burst: 2048, perSecond: 1000)
  // One offer or decline per round: a hundred rounds per second are more than possible.
  private var others = TokenBucket(burst: 64, perSecond: 100)
  private var vain = TokenBucket(burst: mostInVain, perSecond: 1 / vainInterval.seconds)

  /// The number of messages in vain before a client is rejected, if they arrive faster than one per ``vainInterval``.
  /// An honest client sends one or two in a round that it was late for.
  package static let mostInVain = 32
  package static let vainInterval = Duration.seconds(10)

  /// Returns how long to wait before a message is handled and the next is read.
  mutating func pause(before message: Message, at now: Duration) -> Duration {
    switch message {
    case .heartbeat: Self.pause(&heartbeats, at: now)
    case .fetch: Self.pause(&fetches, at: now)
    // Limited by the request.
    case .update: .zero
    default: Self.pause(&others, at: now)
    }
  }

  private static func pause(_ bucket: inout TokenBucket, at now: Duration) -> Duration {
    let pause = bucket.wait(at: now)
    _ = bucket.take(at: now + pause)
    return pause
  }

  /// Counts a message in vain: an unwanted offer, or a decline without an assignment. Throws ``TooManyInVain`` if there
  /// are too many.
  mutating func noteVain(at now: Duration) throws(TooManyInVain) {
    guard vain.take(at: now) else { throw TooManyInVain() }
  }
}

/// The error of a client that keeps sending messages in vain.
struct TooManyInVain: Error, CustomStringConvertible {
  var description: String {
    "more than \(MessageLimiter.mostInVain) offers, declines and fetches had no effect"
  }
}

/// The clients rejected because of messages in vain, and how long; longer each time.
struct Offenders {
  private var rests: [String: (until: Duration, length: Duration)] = [:]

  private static let (shortest, longest) = (Duration.seconds(60), Duration.seconds(3600))
  /// The maximum number of names; without certificates, clients can choose any names.
  private static let mostNames = 1024

  mutating func add(_ client: String, at now: Duration) {
    let length = rests[client].map { min($0.length * 2, Self.longest) } ?? Self.shortest
    rests[client] = (now + length, length)
    if rests.count > Self.mostNames, let first = rests.min(by: { $0.value.until < $1.value.until }) {
      rests[first.key] = nil
    }
  }

  /// Returns the seconds for which a client is still rejected; nil if it may connect.
  mutating func rest(of client: String, at now: Duration) -> Int? {
    guard let rest = rests[client] else { return nil }
    // Removes the entry after the same time without another offence.
    if now > rest.until + rest.length { rests[client] = nil }
    return now < rest.until ? Int((rest.until - now).seconds.rounded(.up)) : nil
  }
}

/// Limits how often clients reconnect, since each arrival takes log lines and a write to the database.
struct Arrivals {
  private var buckets: [String: TokenBucket] = [:]

  private static let mostNames = 4096

  /// Returns whether a client may connect now.
  mutating func take(_ client: String, at now: Duration, connected: [String: Session]) -> Bool {
    if buckets.count > Self.mostNames { buckets = buckets.filter { connected[$0.key] != nil } }
    return buckets[client, default: TokenBucket(burst: 60, perSecond: 1)].take(at: now)
  }
}
