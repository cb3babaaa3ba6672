import Foundation

/// What the kernel says of this process's memory, in bytes; 0 where it does not tell.
package enum ProcessMemory {
  /// The most that was ever resident (VmHWM).
  package static var peak: Int { read("VmHWM:") }

  /// What is resident now (VmRSS).
  package static var resident: Int { read("VmRSS:") }

  private static func read(_ field: String) -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    for line in status.split(separator: "\n") where line.hasPrefix(field) {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      return (words.dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
    return 0
  }
}

/// What the kernel says of this process's work.
package enum ProcessTime {
  /// Processor time of all threads of this process so far.
  package static var used: Duration {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return .zero }
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// When this process began, to a hundredth of a second; nil where the kernel does not tell.
  package static let start: Date? = {
    guard let process = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
      let machine = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
      let boot = machine.split(separator: "\n").first(where: { $0.hasPrefix("btime ") })
    else { return nil }
    // The name before the other fields may hold anything, also brackets. The start is the 22nd (proc_pid_stat(5)).
    let fields = process[(process.lastIndex(of: ")") ?? process.startIndex)...].split(separator: " ")
    guard fields.count > 20, let ticks = Double(fields[20]), let booted = Double(boot.dropFirst(6)) else {
      return nil
    }
    return Date(timeIntervalSince1970: booted + ticks / Double(sysconf(Int32(_SC_CLK_TCK))))
  }()
}

/// How much memory this process may have.
extension ProcessMemory {
  /// Bytes: the machine's memory, or less where a container or a service is given less (cgroups, version 2 or 1).
  package static let limit: Int = least(
    cgroups: "/sys/fs/cgroup", membership: text("/proc/self/cgroup") ?? "")

  /// The same of a tree of cgroups and of what the system says that a process belongs to.
  package static func least(cgroups root: String, membership: String) -> Int {
    var least = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    for line in membership.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let isUnified = parts[1].isEmpty
      guard isUnified || parts[1].split(separator: ",").contains("memory") else { continue }
      // A group has no more than those that it lies in.
      var group = String(parts[2])
      while true {
        let folder = isUnified ? root + group : root + "/memory" + group
        let file = isUnified ? "memory.max" : "memory.limit_in_bytes"
        if let bytes = text("\(folder)/\(file)").flatMap({ Int($0.prefix { $0.isNumber }) }), bytes > 0 {
          least = min(least, bytes)
        }
        guard let slash = group.lastIndex(of: "/") else { break }
        group = String(group[..<slash])
      }
    }
    return least
  }

  private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
