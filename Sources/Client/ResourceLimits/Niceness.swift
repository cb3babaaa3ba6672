import Foundation

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
