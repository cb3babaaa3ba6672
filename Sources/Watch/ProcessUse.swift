import Engine

/// What this process has used, for the metrics that Prometheus has for every process.
package struct ProcessUse: Sendable {
  /// Bytes that are resident.
  package var residentBytes: Int
  /// Processor time, in seconds, of all threads.
  package var seconds: Double

  package init(residentBytes: Int, seconds: Double) {
    (self.residentBytes, self.seconds) = (residentBytes, seconds)
  }

  /// As the kernel says now.
  package static var now: ProcessUse {
    ProcessUse(residentBytes: ProcessMemory.resident, seconds: ProcessTime.used.seconds)
  }
}
