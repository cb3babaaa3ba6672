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
