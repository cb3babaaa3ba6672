import Engine
import Foundation

/// Detects from transferred bytes that the other end of a connection has failed; a value without a clock.
///
/// The other end is alive if bytes arrive from it, even incomplete messages, or if unacknowledged bytes become fewer
/// while others are still in transit: a peer may be unable to answer before it has received everything. An
/// acknowledgement without remaining bytes is no sign of life, because the kernel acknowledges data for a process that
/// no longer reads. Times are measured from a fixed origin.
package struct SilenceWatch: Sendable {
  /// The observable signs of life of the other end.
  package struct Signs: Sendable, Hashable {
    /// The time when bytes last arrived.
    package var heard: Duration
    /// The number of received bytes that are unread.
    package var unread: Int
    /// The number of bytes that the other end has acknowledged so far.
    package var acknowledged: Int
    /// The number of bytes that are not acknowledged.
    package var onTheirWay: Int

    package init(heard: Duration, unread: Int = 0, acknowledged: Int = 0, onTheirWay: Int = 0) {
      (self.heard, self.unread, self.acknowledged, self.onTheirWay) = (
        heard, unread, acknowledged, onTheirWay
      )
    }
  }

  private let limit: Duration
  /// The time of the last sign of life.
  private var alive: Duration
  private var seen: (acknowledged: Int, at: Duration)

  /// - Parameter limit: The silence after which the other end counts as failed.
  package init(_ limit: Duration, _ signs: Signs, at now: Duration) {
    (self.limit, alive, seen) = (limit, signs.heard, (signs.acknowledged, now))
  }

  /// Returns the latest time of the next check; nil if the other end has been silent for the limit.
  package mutating func look(_ signs: Signs, at now: Duration) -> Duration? {
    // Unread data is a delay of this end, not of the other.
    alive = max(alive, signs.unread > 0 ? now : signs.heard)
    // The bytes were acknowledged since the last check; its time is used, so that a failure is not detected too late.
    if signs.acknowledged > seen.acknowledged && signs.onTheirWay > 0 { alive = max(alive, seen.at) }
    seen = (signs.acknowledged, now)
    guard now < alive + limit else { return nil }
    // A third is the interval of heartbeats, after which a peer that sends them has been heard again.
    return min(alive + limit, max(alive + limit / 3, now + limit / 12))
  }
}

extension Connection {
  /// Ends the connection after silence of the other end for `limit`; tasks that receive or send then get
  /// ``WireError/silence(_:)``. Returns after that, or when its task is cancelled.
  package func endWhenSilent(for limit: Duration) async {
    let start = ContinuousClock.now
    var watch = SilenceWatch(limit, signs(at: .zero), at: .zero)
    while !Task.isCancelled {
      let now = ContinuousClock.now - start
      guard let next = watch.look(signs(at: now), at: now) else { return giveUp(after: limit) }
      try? await Task.sleep(until: start + next, clock: .continuous)
    }
  }

  /// The time since bytes last arrived.
  package nonisolated var silence: Duration { ContinuousClock.now - traffic.heard }
}
