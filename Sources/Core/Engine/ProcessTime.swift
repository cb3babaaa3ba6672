import Foundation

/// What the kernel says of this process's work.
package enum ProcessTime {
  /// Processor time of all threads of this process so far.
  package static var used: Duration {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return .zero }
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
}
