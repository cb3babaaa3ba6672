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
