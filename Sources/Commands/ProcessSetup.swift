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

#if canImport(Glibc)
  import CGlibc
#endif

/// How the C library's allocator treats large blocks.
enum Allocator {
  /// Large blocks are given back to the kernel as soon as they are freed. Left alone, the allocator raises
  /// its threshold with every large block that is freed and then keeps holes the size of layers: a
  /// simulation of 100 clients had half as much memory again resident.
  static func returnLargeBlocks() {
    #if canImport(Glibc)
      _ = mallopt(M_MMAP_THRESHOLD, 256 << 10)
      // What frames are made of is below that, and comes again at once: with the usual 128 KiB each of them was
      // given back and faulted in anew, a fifth of the time that a server spends on a round.
      _ = mallopt(M_TRIM_THRESHOLD, 1 << 20)
      // Each arena keeps holes of its own, and the usual number is eight for each core.
      _ = mallopt(M_ARENA_MAX, 2)
    #endif
  }
}

#if canImport(Glibc)
  import CGlibc
#endif

/// The priority that a process was started with.
package enum Priority {
  /// Gives up the right to be less nice than that, which root has, for the calling thread and all that it starts. Where
  /// it may, Dispatch gives each of its threads a niceness of its own, whatever `nice` has been told.
  package static func keepInherited() {
    #if canImport(Glibc)
      var header = __user_cap_header_struct(version: 0x2008_0522, pid: 0)
      var sets = [__user_cap_data_struct(), __user_cap_data_struct()]
      // A kernel without capabilities has no such right to give up.
      guard capget(&header, &sets) == 0 else { return }
      // Permitted it stays: a thread that a library has begun before could not be made nicer by one that has less.
      sets[0].effective &= ~(1 << UInt32(CAP_SYS_NICE))
      _ = capset(&header, &sets)
    #endif
  }
}

/// Whether this machine can run this build. The check is in a module that needs nothing special itself.
enum Processor {
  #if STRATA_X86_64_V3
    private static let needed: Set<Substring> = ["avx2", "fma", "bmi2"]
  #else
    private static let needed: Set<Substring> = []
  #endif

  /// What the build needs and the first processor lacks; empty where the kernel does not tell.
  static var missing: [String] {
    guard !needed.isEmpty, let info = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8),
      let line = info.split(separator: "\n").first(where: { $0.hasPrefix("flags") })
    else { return [] }
    return needed.subtracting(line.split(separator: " ")).sorted().map { String($0) }
  }
}
