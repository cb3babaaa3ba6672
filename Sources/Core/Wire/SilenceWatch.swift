import Engine
import Foundation

/// Whether the other end of a connection still lives, by its bytes, as a value without a clock.
///
/// It lives when bytes come from it, whole messages or not, and when it takes bytes: where something is on its way to it
/// and becomes less, it may have no time to answer before it has it all. What an idle connection sends, its kernel
/// acknowledges even where nobody reads it any more; so that alone is no sign of life. Times are since some moment.
package struct SilenceWatch: Sendable {
  /// What a connection shows of its other end.
  package struct Signs: Sendable, Hashable {
    /// When bytes came last.
    package var heard: Duration
    /// Bytes that have come and are not read yet.
    package var unread: Int
    /// Bytes that the other end has acknowledged so far.
    package var acknowledged: Int
    /// Bytes that it has not.
    package var onTheirWay: Int

    package init(heard: Duration, unread: Int = 0, acknowledged: Int = 0, onTheirWay: Int = 0) {
      (self.heard, self.unread, self.acknowledged, self.onTheirWay) = (
        heard, unread, acknowledged, onTheirWay
      )
    }
  }

  private let limit: Duration
  /// When it is known to have lived last.
  private var alive: Duration
  private var seen: (acknowledged: Int, at: Duration)

  /// - Parameter limit: after so long without a sign the other end is gone.
  package init(_ limit: Duration, _ signs: Signs, at now: Duration) {
    (self.limit, alive, seen) = (limit, signs.heard, (signs.acknowledged, now))
  }

  /// When to look again at the latest; nil where the other end has been silent for the limit.
  package mutating func look(_ signs: Signs, at now: Duration) -> Duration? {
    // What waits to be read is this end's delay, not the other's.
    alive = max(alive, signs.unread > 0 ? now : signs.heard)
    // Taken at some time since the last look: dated at its beginning, so that nothing is noticed too late.
    if signs.acknowledged > seen.acknowledged && signs.onTheirWay > 0 { alive = max(alive, seen.at) }
    seen = (signs.acknowledged, now)
    guard now < alive + limit else { return nil }
    // A third is a heartbeat: whoever sends one was heard again by then, and is not looked at more often.
    return min(alive + limit, max(alive + limit / 3, now + limit / 12))
  }
}

extension Connection {
  /// Ends the connection once its other end has been silent for so long: a task that receives or sends then gets
  /// ``WireError/silence(_:)``. Returns when that is done, or when its task is cancelled.
  package func endWhenSilent(for limit: Duration) async {
    let start = ContinuousClock.now
    var watch = SilenceWatch(limit, signs(at: .zero), at: .zero)
    while !Task.isCancelled {
      let now = ContinuousClock.now - start
      guard let next = watch.look(signs(at: now), at: now) else { return giveUp(after: limit) }
      try? await Task.sleep(until: start + next, clock: .continuous)
    }
  }

  /// How long no byte has come.
  package nonisolated var silence: Duration { ContinuousClock.now - traffic.heard }
}
