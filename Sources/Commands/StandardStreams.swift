import Foundation
import Logging
import Support
import Synchronization

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

/// Where a process writes what it has to say about its work: log lines, progress, the reason why it ends.
///
/// Nothing that works waits for whoever reads it. Text goes into a bounded buffer that a thread of its own writes out;
/// where that cannot keep up, because a pipe is not read or a disk is full, lines are dropped and counted, and the count
/// is written as soon as there is room again.
package final class StandardError: Sendable {
  /// That of this process.
  package static let shared = StandardError(STDERR_FILENO)

  private struct State {
    var queue: [UInt8] = []
    var queuedLines = 0
    /// Lines that came after those in the queue and found no room.
    var droppedLines = 0
    var isStarted = false
    /// Whether something that was in the queue is being written.
    var isWriting = false
    /// Whether somebody waits for the end of it.
    var isDraining = false
    /// Whether that was in vain, and nothing has been taken since.
    var isStuck = false

    var isIdle: Bool { queue.isEmpty && droppedLines == 0 && !isWriting }
  }

  private let descriptor: Int32
  private let limit: Int
  private let state = Mutex(State())
  private let work = DispatchSemaphore(value: 0)
  private let progress = DispatchSemaphore(value: 0)

  /// - Parameter limit: bytes that wait at most, besides those that are being written.
  package init(_ descriptor: Int32, limit: Int = 1 << 20) {
    (self.descriptor, self.limit) = (descriptor, limit)
  }

  /// Queues whole lines. Returns whether there was room for them.
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

  /// Whether all that was said is written: what is drawn again and again need not wait in a queue.
  var isIdle: Bool { state.withLock { $0.isIdle } }

  /// Waits until all is written, as long as it goes on: where nothing is taken for two seconds, or all of it not in
  /// five, the rest is left.
  package func drain() {
    let end = ContinuousClock.now + .seconds(5)
    state.withLock { $0.isDraining = true }
    while state.withLock({ !$0.isIdle && !$0.isStuck }), ContinuousClock.now < end {
      if progress.wait(timeout: .now() + 2) == .timedOut { state.withLock { $0.isStuck = true } }
    }
    state.withLock { $0.isDraining = false }
  }

  // MARK: - The thread that writes

  private func start(_ state: inout State) {
    guard !state.isStarted else { return }
    state.isStarted = true
    Thread.detachNewThread { [self] in
      // Signals are for those who handle them.
      var all = sigset_t()
      sigfillset(&all)
      pthread_sigmask(SIG_BLOCK, &all, nil)
      run()
    }
  }

  private func run() {
    /// Lines that could not be written, before those in the queue.
    var lost = 0
    while true {
      work.wait()
      let (bytes, lines) = state.withLock { state in
        // What was dropped came after what is queued.
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

  /// Writes in pieces that a pipe takes as a whole. Returns what could not be written.
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

  /// Something was taken, or has failed.
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
      "\(name): \(lines) \(lines == 1 ? "line was" : "lines were") dropped: nothing took them in time\n".utf8)
  }

  private static func lines(_ bytes: some Sequence<UInt8>) -> Int {
    max(1, bytes.count { $0 == UInt8(ascii: "\n") })
  }
}

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
