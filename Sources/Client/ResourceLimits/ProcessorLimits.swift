import Foundation

/// The processor time that a training may use, in percent of one core: `50%` is half a core, `200%` is two.
package struct CPUQuota: Sendable, Hashable, CustomStringConvertible {
  /// The quota, 1 … 25600, since there are at most 256 threads.
  package let percent: Int

  /// Reads a whole number followed by `%`; nil for anything else.
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
  /// The time up to which processor time is accounted for, and the processor time used until then.
  private var time: ContinuousClock.Instant
  private var used: Duration

  private static let credit = Duration.seconds(1)

  /// Starts accounting at `time`.
  package init(_ quota: CPUQuota, at time: ContinuousClock.Instant, used: Duration) {
    (self.quota, self.time, self.used) = (quota, time, used)
  }

  /// Returns how long to pause after a step, so that processor time divided by elapsed time equals the quota.
  ///
  /// Unused time counts as credit for at most one second: the training makes up for a step slowed down by other
  /// processes, but does not exceed the quota after a pause on battery. Processor time used during a pause, and the
  /// excess of a pause that lasts too long, count towards the next pause.
  package mutating func pause(at now: ContinuousClock.Instant, used: Duration) -> Duration {
    let due = (used - self.used) * 100 / quota.percent
    (time, self.used) = (max(time + due, now - Self.credit), used)
    return max(time - now, .zero)
  }
}

/// The scheduling niceness of this process: 0 is the default, 19 the lowest priority.
package enum Niceness {
  /// The error when the kernel does not allow a niceness.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// Raises the niceness of the whole process; a niceness that is already as high stays. Throws ``Failure``.
  ///
  /// On Linux, niceness belongs to a thread, and a new thread inherits it from its creator. The call therefore repeats
  /// over all threads until none is left that another could have created meanwhile. Where it may, which is as root,
  /// Dispatch gives its threads another niceness; so a computing thread calls this again when it begins.
  package static func raise(to niceness: Int) throws(Failure) {
    var wasRaised = true
    while wasRaised {
      wasRaised = false
      for thread in threads where getpriority(kind, thread) < niceness {
        guard setpriority(kind, thread, Int32(niceness)) == 0 else {
          // The thread has ended meanwhile.
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
