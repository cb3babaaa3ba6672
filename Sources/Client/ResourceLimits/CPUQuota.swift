import Foundation

/// How much processor time a training may take, in percent of one core: `50%` is half a core, `200%` two.
package struct CPUQuota: Sendable, Hashable, CustomStringConvertible {
  /// 1 … 25600: there are at most 256 threads.
  package let percent: Int

  /// Reads a whole number and `%`; nil for anything else.
  package init?(_ text: String) {
    guard text.hasSuffix("%"), text.dropLast().allSatisfy({ $0.isASCII && $0.isNumber }),
      let percent = Int(text.dropLast()), (1...25600).contains(percent)
    else { return nil }
    self.percent = percent
  }

  package var description: String { "\(percent)%" }
}

/// The pauses between the steps of a training that keep it within a quota.
package struct Pace: Sendable {
  private let quota: CPUQuota
  /// Up to when the time is accounted for, and with how much of the processor's.
  private var time: ContinuousClock.Instant
  private var used: Duration

  private static let credit = Duration.seconds(1)

  /// Begins the account.
  package init(_ quota: CPUQuota, at time: ContinuousClock.Instant, used: Duration) {
    (self.quota, self.time, self.used) = (quota, time, used)
  }

  /// How long to pause after a step, so that the processor's time over the time that passed is the quota.
  ///
  /// Time that was not used is credit for a second at most: a step that others slowed down is made up for, but a
  /// training that stood still on battery does not go on with full force. What the process uses during a pause,
  /// and a pause that lasts too long, count for the next.
  package mutating func pause(at now: ContinuousClock.Instant, used: Duration) -> Duration {
    let due = (used - self.used) * 100 / quota.percent
    (time, self.used) = (max(time + due, now - Self.credit), used)
    return max(time - now, .zero)
  }
}
