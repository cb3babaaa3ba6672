import CSSL
import Foundation

/// The limit on open files and connections of a process.
package enum Descriptors {
  /// Raises the limit to the maximum allowed: each client needs a descriptor.
  package static func raiseLimit() {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(resource, &limit)
  }
}

extension Int32 {
  /// Writes all bytes to this descriptor, however long that takes. Returns the error number on failure.
  func write(_ bytes: ArraySlice<UInt8>) -> Int32? {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(self, $0.baseAddress, $0.count) }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        // Another process that shares the descriptor has made it non-blocking.
        _ = isWritable(within: -1)
      } else if errno != EINTR {
        return errno
      }
    }
    return nil
  }

  /// Waits until this descriptor is writable or has failed. Waits at most `milliseconds`, and without limit if they are
  /// negative.
  func isWritable(within milliseconds: Int32) -> Bool {
    var request = pollfd(fd: self, events: Int16(POLLOUT), revents: 0)
    let count = poll(&request, 1, milliseconds)
    return count > 0 || count < 0 && errno != EINTR
  }
}

#if canImport(Glibc)
  import CGlibc
#endif

/// The handling of large blocks by the C library's allocator.
enum Allocator {
  /// Makes the allocator return large blocks to the kernel when they are freed. By default it raises its threshold with
  /// every large block that is freed and keeps free blocks as large as layers: a simulation of 100 clients used half
  /// as much memory again.
  static func returnLargeBlocks() {
    #if canImport(Glibc)
      _ = mallopt(M_MMAP_THRESHOLD, 256 << 10)
      // Frames are allocated below this size and soon allocated again. With the default of 128 KiB they were returned
      // and faulted in each time, which took a fifth of the server's time in a round.
      _ = mallopt(M_TRIM_THRESHOLD, 1 << 20)
      // Each arena keeps its free blocks, and the default is eight arenas per core.
      _ = mallopt(M_ARENA_MAX, 2)
    #endif
  }
}

/// What OpenSSL has allocated.
enum Cryptography {
  /// Keeps it until the process has ended. By default OpenSSL frees it during exit(), and a thread that still closes a
  /// connection then locks a lock that is gone: a server under TLS could end with SIGSEGV instead of its exit code.
  static func keepDuringExit() {
    _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
  }
}

#if canImport(Glibc)
  import CGlibc
#endif

/// The scheduling priority that a process was started with.
package enum Priority {
  /// Gives up root's right to lower the niceness, for the calling thread and all that it starts. With that right,
  /// Dispatch sets the niceness of each of its threads and overrides `nice`.
  package static func keepInherited() {
    #if canImport(Glibc)
      var header = __user_cap_header_struct(version: 0x2008_0522, pid: 0)
      var sets = [__user_cap_data_struct(), __user_cap_data_struct()]
      // A kernel without capabilities does not have this right.
      guard capget(&header, &sets) == 0 else { return }
      // The capability stays permitted: otherwise this thread could not renice one that a library started before.
      sets[0].effective &= ~(1 << UInt32(CAP_SYS_NICE))
      _ = capset(&header, &sets)
    #endif
  }
}

/// Checks that this machine can run this build. This module itself needs no special instructions.
enum Processor {
  #if STRATA_X86_64_V3
    private static let needed: Set<Substring> = ["avx2", "fma", "bmi2"]
  #else
    private static let needed: Set<Substring> = []
  #endif

  /// The features that the build needs and the first processor lacks; empty if the kernel does not list any.
  static var missing: [String] {
    guard !needed.isEmpty, let info = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8),
      let line = info.split(separator: "\n").first(where: { $0.hasPrefix("flags") })
    else { return [] }
    return needed.subtracting(line.split(separator: " ")).sorted().map { String($0) }
  }
}
