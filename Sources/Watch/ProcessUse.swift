import Engine
import Foundation
import Support

/// What this process has used, for the metrics that Prometheus has for every process.
package struct ProcessUse: Sendable {
  /// Bytes that are resident.
  package var residentBytes: Int
  /// Processor time, in seconds, of all threads.
  package var seconds: Double
  /// When it began; nil where the kernel does not tell.
  package var startedAt: Date?

  package init(residentBytes: Int, seconds: Double, startedAt: Date? = nil) {
    (self.residentBytes, self.seconds, self.startedAt) = (residentBytes, seconds, startedAt)
  }

  /// As the kernel says now.
  package static var now: ProcessUse {
    ProcessUse(
      residentBytes: ProcessMemory.resident, seconds: ProcessTime.used.seconds, startedAt: ProcessTime.start)
  }
}
