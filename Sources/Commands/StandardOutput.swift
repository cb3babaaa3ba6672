import Foundation
import Support

/// Where a command writes its result, and nothing else.
package enum StandardOutput {
  /// Writes a result, after all that was said on standard error. A reader that has gone away, as `head` does, has had
  /// what it wanted. Throws ``CommandFailure`` where the result cannot be written, and `CancellationError` where the
  /// task is cancelled while nobody reads it.
  ///
  /// - Parameters:
  ///   - text: control characters that foreign text has brought into it are escaped.
  ///   - patience: how long it is waited for a reader; nil: as long as it takes.
  package static func write(
    _ text: String, terminator: String = "\n", patience: Duration? = nil
  ) throws {
    StandardError.shared.drain()
    let end = patience.map { ContinuousClock.now + $0 }
    var rest = Array((ForeignText.lines(text) + terminator).utf8)[...]
    while !rest.isEmpty {
      guard STDOUT_FILENO.isWritable(within: 100) else {
        try Task.checkCancellation()
        if let end, .now >= end { throw CommandFailure(.store, "standard output: it is not read") }
        continue
      }
      let piece = rest.prefix(Int(PIPE_BUF))
      switch STDOUT_FILENO.write(piece) {
      case nil: rest = rest.dropFirst(piece.count)
      case EPIPE: return
      case let number?: throw CommandFailure(.store, "standard output: \(String(cString: strerror(number)))")
      }
    }
  }
}

/// What every process needs of its three standard streams before it does anything.
enum StandardStreams {
  /// A reader that goes away, or a file that may not grow, ends no process: writing fails and says so. A stream that is
  /// closed must not become the number of another file, into which log lines would go then.
  static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] {
      guard fcntl(descriptor, F_GETFD) < 0, errno == EBADF else { continue }
      // The lowest number that is free. For reading alone: what is written fails, as it would without it.
      _ = open("/dev/null", O_RDONLY)
    }
  }
}
