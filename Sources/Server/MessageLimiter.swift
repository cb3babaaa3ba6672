import Engine
import Federation
import Support
import Wire

/// How often a client may say what costs the server something. One that speaks more often is read more slowly, and one
/// that goes on with what leads to nothing is turned away.
package struct MessageLimiter {
  // A client says where it is a few times a second at most.
  private var heartbeats = TokenBucket(burst: 100, perSecond: 10)
  // As many as may wait, and more a second than a link carries.
  private var fetches = TokenBucket(burst: 2048, perSecond: 1000)
  // An offer or a decline a round: a hundred rounds a second are more than there can be.
  private var others = TokenBucket(burst: 64, perSecond: 100)
  private var vain = TokenBucket(burst: mostInVain, perSecond: 1 / vainInterval.seconds)

  /// Messages in vain before a client is turned away, where they come faster than one in ``vainInterval``: an honest
  /// client has one or two in a round that it was late for.
  package static let mostInVain = 32
  package static let vainInterval = Duration.seconds(10)

  /// How long to wait before a message is acted on, and the next is read.
  mutating func pause(before message: Message, at now: Duration) -> Duration {
    switch message {
    case .heartbeat: Self.pause(&heartbeats, at: now)
    case .fetch: Self.pause(&fetches, at: now)
    // Bounded by what was asked for.
    case .update: .zero
    default: Self.pause(&others, at: now)
    }
  }

  private static func pause(_ bucket: inout TokenBucket, at now: Duration) -> Duration {
    let pause = bucket.wait(at: now)
    _ = bucket.take(at: now + pause)
    return pause
  }

  /// A message led to nothing: what it offered was not wanted, what it declined was not asked. Throws
  /// ``TooManyInVain`` where there were too many.
  mutating func noteVain(at now: Duration) throws(TooManyInVain) {
    guard vain.take(at: now) else { throw TooManyInVain() }
  }
}

/// A client goes on saying what leads to nothing.
struct TooManyInVain: Error, CustomStringConvertible {
  var description: String {
    "more than \(MessageLimiter.mostInVain) offers, declines and fetches led to nothing"
  }
}

/// Clients that were turned away because they went on with what leads to nothing, and for how long: longer each time.
struct Offenders {
  private var rests: [String: (until: Duration, length: Duration)] = [:]

  private static let (shortest, longest) = (Duration.seconds(60), Duration.seconds(3600))
  /// Names that are remembered; where none is proved, they are the offender's choice.
  private static let mostNames = 1024

  mutating func add(_ client: String, at now: Duration) {
    let length = rests[client].map { min($0.length * 2, Self.longest) } ?? Self.shortest
    rests[client] = (now + length, length)
    if rests.count > Self.mostNames, let first = rests.min(by: { $0.value.until < $1.value.until }) {
      rests[first.key] = nil
    }
  }

  /// Seconds for which a client is still turned away; nil where it may come.
  mutating func rest(of client: String, at now: Duration) -> Int? {
    guard let rest = rests[client] else { return nil }
    // After as long again without an offence it is forgotten.
    if now > rest.until + rest.length { rests[client] = nil }
    return now < rest.until ? Int((rest.until - now).seconds.rounded(.up)) : nil
  }
}

/// How often clients come back: each arrival costs lines in the log and a write to the database.
struct Arrivals {
  private var buckets: [String: TokenBucket] = [:]

  private static let mostNames = 4096

  /// Returns whether a client may come now.
  mutating func take(_ client: String, at now: Duration, connected: [String: Session]) -> Bool {
    if buckets.count > Self.mostNames { buckets = buckets.filter { connected[$0.key] != nil } }
    return buckets[client, default: TokenBucket(burst: 60, perSecond: 1)].take(at: now)
  }
}
