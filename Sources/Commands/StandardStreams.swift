import Foundation
import Logging
import Support
import Synchronization

/// The stream for a command's result, and only for that.
package enum StandardOutput {
  /// Writes a result after all pending output to standard error. Returns without error if the reader has closed the
  /// stream, as `head` does. Throws ``CommandFailure`` if writing fails, and `CancellationError` if the task is
  /// cancelled while the stream is not read.
  ///
  /// - Parameters:
  ///   - text: the result; control characters from foreign text are escaped.
  ///   - patience: how long to wait for a reader; nil for no limit.
  package static func write(
    _ text: String, terminator: String = "\n", patience: Duration? = nil
  ) throws {
    _ = try writePart(text + terminator, patience: patience)
  }

  /// Writes a part of a result in the same way. Returns false if the reader has closed the stream and no further part is
  /// needed.
  package static func writePart(_ text: String, patience: Duration? = nil) throws -> Bool {
    StandardError.shared.drain()
    let end = patience.map { ContinuousClock.now + $0 }
    var rest = Array(ForeignText.lines(text).utf8)[...]
    while !rest.isEmpty {
      guard STDOUT_FILENO.isWritable(within: 100) else {
        try Task.checkCancellation()
        if let end, .now >= end { throw CommandFailure(.store, "standard output: nothing reads it") }
        continue
      }
      let piece = rest.prefix(Int(PIPE_BUF))
      switch STDOUT_FILENO.write(piece) {
      case nil: rest = rest.dropFirst(piece.count)
      case EPIPE: return false
      case let number?: throw CommandFailure(.store, "standard output: \(String(cString: strerror(number)))")
      }
    }
    return true
  }
}

/// The set-up of the three standard streams, which every process needs first.
enum StandardStreams {
  /// Makes writing fail with an error, instead of ending the process, if a reader disappears or a file may not grow.
  /// Reopens closed streams, so that no other file gets their descriptors and then receives log lines.
  static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] {
      guard fcntl(descriptor, F_GETFD) < 0, errno == EBADF else { continue }
      // Takes the lowest free descriptor. It is read-only, so that writing fails as it would on a closed stream.
      _ = open("/dev/null", O_RDONLY)
    }
  }
}

/// The stream for log lines, progress and the reason why the process ends.
///
/// Writing never blocks the caller. Text goes into a bounded buffer, which a separate thread writes out. If that thread
/// cannot keep up, because a pipe is not read or a disk is full, lines are dropped and counted; the count is written as
/// soon as the buffer has space.
package final class StandardError: Sendable {
  /// The standard error of this process.
  package static let shared = StandardError(STDERR_FILENO)

  private struct State {
    var queue: [UInt8] = []
    var queuedLines = 0
    /// The lines dropped since the last one in the queue, because it was full.
    var droppedLines = 0
    var isStarted = false
    /// Whether bytes from the queue are being written.
    var isWriting = false
    /// Whether `drain()` is waiting.
    var isDraining = false
    /// Whether `drain()` has timed out and nothing was written since.
    var isStuck = false

    var isIdle: Bool { queue.isEmpty && droppedLines == 0 && !isWriting }
  }

  private let descriptor: Int32
  private let limit: Int
  private let state = Mutex(State())
  private let work = DispatchSemaphore(value: 0)
  private let progress = DispatchSemaphore(value: 0)

  /// - Parameter limit: the maximum number of queued bytes, without those being written.
  package init(_ descriptor: Int32, limit: Int = 1 << 20) {
    (self.descriptor, self.limit) = (descriptor, limit)
  }

  /// Queues whole lines. Returns false if the queue is full.
  @discardableResult package func write(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    let isQueued = state.withLock { state in
      start(&state)
      let told = (state.droppedLines > 0 ? Self.notice(state.droppedLines) : []) + bytes
      guard state.queue.count + told.count <= limit else {
        state.droppedLines += Self.lines(bytes)
        return false
      }
      state.queue += told
      state.queuedLines += Self.lines(bytes) + state.droppedLines
      state.droppedLines = 0
      return true
    }
    work.signal()
    return isQueued
  }

  /// Whether everything is written; text that is redrawn often need not be queued.
  var isIdle: Bool { state.withLock { $0.isIdle } }

  /// Waits until everything is written. Gives up if nothing is written for two seconds, or after five seconds in all.
  package func drain() {
    let end = ContinuousClock.now + .seconds(5)
    state.withLock { $0.isDraining = true }
    while state.withLock({ !$0.isIdle && !$0.isStuck }), ContinuousClock.now < end {
      if progress.wait(timeout: .now() + 2) == .timedOut { state.withLock { $0.isStuck = true } }
    }
    state.withLock { $0.isDraining = false }
  }

  // MARK: - Writer thread

  private func start(_ state: inout State) {
    guard !state.isStarted else { return }
    state.isStarted = true
    Thread.detachNewThread { [self] in
      // Leaves signals to the threads that handle them.
      var all = sigset_t()
      sigfillset(&all)
      pthread_sigmask(SIG_BLOCK, &all, nil)
      run()
    }
  }

  private func run() {
    /// The number of lines that could not be written, before those in the queue.
    var lost = 0
    while true {
      work.wait()
      let (bytes, lines) = state.withLock { state in
        // The dropped lines follow the queued ones.
        let bytes = state.queue + (state.droppedLines > 0 ? Self.notice(state.droppedLines) : [])
        let lines = state.queuedLines + state.droppedLines
        (state.queue, state.queuedLines, state.droppedLines) = ([], 0, 0)
        state.isWriting = !bytes.isEmpty
        return (bytes, lines)
      }
      guard !bytes.isEmpty else { continue }
      let whole = (lost > 0 ? Self.notice(lost) : []) + bytes
      let rest = put(whole)
      lost = rest.isEmpty ? 0 : rest.count == whole.count ? lost + lines : Self.lines(rest)
      goOn { $0.isWriting = false }
    }
  }

  /// Writes in pieces that a pipe accepts atomically. Returns the bytes that could not be written.
  private func put(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = rest.prefix(Int(PIPE_BUF))
      guard descriptor.write(piece) == nil else { return rest }
      rest = rest.dropFirst(piece.count)
      goOn { _ in }
    }
    return rest
  }

  /// Records that a write has succeeded or failed.
  private func goOn(_ change: (inout State) -> Void) {
    let isDraining = state.withLock { state in
      change(&state)
      state.isStuck = false
      return state.isDraining
    }
    if isDraining { progress.signal() }
  }

  private static func notice(_ lines: Int) -> [UInt8] {
    let name = ProcessInfo.processInfo.processName
    return Array(
      "\(name): \(lines) \(lines == 1 ? "line was" : "lines were") dropped: the reader is too slow\n".utf8)
  }

  private static func lines(_ bytes: some Sequence<UInt8>) -> Int {
    max(1, bytes.count { $0 == UInt8(ascii: "\n") })
  }
}

/// Returns a command's logger, which writes lines to standard error, for a terminal or journald.
package func makeLogger(_ label: String) -> Logger {
  Logger(label: label) { StreamLogHandler(label: $0, stream: LogStream()) }
}

/// Writes each record as one line, whatever it contains.
private struct LogStream: TextOutputStream {
  mutating func write(_ record: String) {
    let text = record.hasSuffix("\n") ? record.dropLast() : record[...]
    StandardError.shared.write("\(ForeignText(text, limit: 2000))\n")
  }
}
