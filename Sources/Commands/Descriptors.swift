import Foundation

/// How many files and connections a process may have open.
package enum Descriptors {
  /// Raises the limit to what the system allows this process: each client is a descriptor.
  package static func raiseLimit() {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(resource, &limit)
  }
}

extension Int32 {
  /// Writes all of it to this descriptor, however long that takes. Returns the error's number where it fails.
  func write(_ bytes: ArraySlice<UInt8>) -> Int32? {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(self, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Another process that has it, too, has asked for that.
        _ = isWritable(within: -1)
      } else if errno != EINTR {
        return errno
      }
    }
    return nil
  }

  /// Whether this descriptor takes a piece, or fails at once; at most so many milliseconds are waited for that, and
  /// without end where they are negative.
  func isWritable(within milliseconds: Int32) -> Bool {
    var request = pollfd(fd: self, events: Int16(POLLOUT), revents: 0)
    let count = poll(&request, 1, milliseconds)
    return count > 0 || count < 0 && errno != EINTR
  }
}
