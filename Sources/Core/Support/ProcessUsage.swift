import Foundation

/// The memory of this process in bytes, as the kernel reports it; 0 where the kernel does not report it.
package enum ProcessMemory {
  /// The peak resident memory (VmHWM).
  package static var peak: Int { read("VmHWM:") }

  /// The resident memory (VmRSS).
  package static var resident: Int { read("VmRSS:") }

  /// The memory that new processes can take without swapping: of the system (MemAvailable), or of this process's control
  /// group if its limit leaves less. Nil if the kernel does not report it.
  package static var free: Int? {
    let available = read("MemAvailable:", in: "/proc/meminfo")
    let free = [available > 0 ? available : nil, freeOfGroup].compactMap(\.self)
    return free.min()
  }

  /// The memory that the limit of the process's control group (version 2) leaves; nil without a limit.
  private static var freeOfGroup: Int? {
    func text(_ path: String) -> String? {
      (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
    guard let group = text("/proc/self/cgroup")?.split(separator: "\n").first(where: { $0.hasPrefix("0::") })
    else {
      return nil
    }
    let folder = "/sys/fs/cgroup" + group.dropFirst(3)
    guard let limit = text("\(folder)/memory.max").flatMap({ Int($0) }),
      let used = text("\(folder)/memory.current").flatMap({ Int($0) })
    else { return nil }
    return max(limit - used, 0)
  }

  /// Makes the peak the current resident memory, where the kernel permits it (proc_pid_clear_refs(5)).
  package static func resetPeak() {
    try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
  }

  private static func read(_ field: String, in file: String = "/proc/self/status") -> Int {
    let status = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
    for line in status.split(separator: "\n") where line.hasPrefix(field) {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      return (words.dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
    return 0
  }
}

/// The processor time and the start of this process, as the kernel reports them.
package enum ProcessTime {
  /// The processor time of all threads of this process so far.
  package static var used: Duration {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return .zero }
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// The time when this process started, to a hundredth of a second; nil where the kernel does not report it.
  package static let start: Date? = {
    guard let process = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
      let machine = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
      let boot = machine.split(separator: "\n").first(where: { $0.hasPrefix("btime ") })
    else { return nil }
    // The process name before the other fields may contain any character, also brackets. The start time is field 22
    // (proc_pid_stat(5)).
    let fields = process[(process.lastIndex(of: ")") ?? process.startIndex)...].split(separator: " ")
    guard fields.count > 20, let ticks = Double(fields[20]), let booted = Double(boot.dropFirst(6)) else {
      return nil
    }
    return Date(timeIntervalSince1970: booted + ticks / Double(sysconf(Int32(_SC_CLK_TCK))))
  }()
}

/// The memory limit of this process.
extension ProcessMemory {
  /// The memory limit in bytes: the machine's memory, or the limit of a container or a service if that is lower
  /// (cgroups, version 2 or 1).
  package static let limit: Int = least(
    cgroups: "/sys/fs/cgroup", membership: text("/proc/self/cgroup") ?? "")

  /// Returns the memory limit for a cgroup tree and the contents of `/proc/self/cgroup`.
  package static func least(cgroups root: String, membership: String) -> Int {
    var least = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    for line in membership.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let isUnified = parts[1].isEmpty
      guard isUnified || parts[1].split(separator: ",").contains("memory") else { continue }
      // A group is also limited by its ancestors.
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
