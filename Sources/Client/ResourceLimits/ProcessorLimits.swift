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

/// How far this process stands back behind others, in the kernel's numbers: 0 is usual, 19 the most.
package enum Niceness {
  /// The kernel does not allow it, and why.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// Raises the niceness of the whole process; where it is as high already it stays. Throws ``Failure``.
  ///
  /// To Linux a niceness is a thread's, and a new thread has that of the one that makes it: every thread is
  /// asked, until none is left that another could have made meanwhile. Dispatch gives its own threads another
  /// one where it may, which is as root; so what computes asks again when it begins.
  package static func raise(to niceness: Int) throws(Failure) {
    var wasRaised = true
    while wasRaised {
      wasRaised = false
      for thread in threads where getpriority(kind, thread) < niceness {
        guard setpriority(kind, thread, Int32(niceness)) == 0 else {
          // A thread that has ended meanwhile needs none.
          if errno == ESRCH { continue }
          throw Failure(description: "niceness \(niceness): \(String(cString: strerror(errno)))")
        }
        wasRaised = true
      }
    }
  }

  private static let kind = Int32(PRIO_PROCESS.rawValue)

  private static var threads: [id_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
    return names.isEmpty ? [0] : names.compactMap { id_t($0) }
  }
}
