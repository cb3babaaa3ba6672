import Logging

/// The log of a command: lines on standard error, for a terminal or for journald.
package func makeLogger(_ label: String) -> Logger {
  Logger(label: label) { StreamLogHandler.standardError(label: $0) }
}
