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
