import Logging
import Support

/// The log of a command: lines on standard error, for a terminal or for journald.
package func makeLogger(_ label: String) -> Logger {
  Logger(label: label) { StreamLogHandler(label: $0, stream: LogStream()) }
}

/// Puts each record on a line of its own, whatever is in it.
private struct LogStream: TextOutputStream {
  mutating func write(_ record: String) {
    let text = record.hasSuffix("\n") ? record.dropLast() : record[...]
    StandardError.shared.write("\(ForeignText(text, limit: 2000))\n")
  }
}
