import Foundation
import Support

/// How much memory this process may have.
package enum ProcessMemory {
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
