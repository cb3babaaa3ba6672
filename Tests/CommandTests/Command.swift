import Foundation
import Synchronization

/// One of the package's executables in a separate process.
///
/// Foundation's Process is not used: if several are started at once, a child inherits another's pipes and keeps them
/// open.
struct Command {
  struct Outcome: Sendable {
    /// The exit code; negative for a signal.
    let code: Int32
    let output: String
    let errors: String

    /// The lines on standard error.
    var lines: [Substring] { errors.split(separator: "\n") }
  }

  struct Failure: Error {
    let call: String
    let number: Int32
  }

  /// The destination of one of a command's two streams.
  enum Stream: CaseIterable {
    /// This process, which reads it.
    case read
    case closed
    /// A full disk.
    case full
    /// A pipe whose reader has closed it.
    case abandoned
    /// A full pipe that is not read.
    case stuck

    static let broken: [Stream] = [.closed, .full, .abandoned, .stuck]
  }

  /// The lines of standard error as they arrive.
  let errors: LineLog
  private let output: LineLog
  let process: pid_t
  private let ended: Task<Int32, Never>

  /// The folder of this package's executables, which is that of the test bundle.
  static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent()

  /// Prevents another child from being started between creating a pipe and marking it as not inherited.
  private static let births = Mutex(())

  /// Starts an executable of the package, or one with a full path.
  ///
  /// `environment` is added to this process's. With `columns`, standard error is a terminal of that width. The content
  /// of a stream that is not read is lost.
  init(
    _ name: String, _ arguments: some Sequence<String>, environment: [String: String] = [:],
    columns: Int? = nil, output: Stream = .read, errors: Stream = .read
  ) throws {
    let path = name.hasPrefix("/") ? name : Self.folder.appendingPathComponent(name).path
    let words = [path] + arguments
    let (process, reading, unread) = try Self.births.withLock { _ in
      let channels = (
        try Channel(output), try columns.map(Channel.init(columns:)) ?? Channel(errors)
      )
      let process = try Self.spawn(path, words, environment, channels.0, channels.1)
      return (
        process, (channels.0.reading, channels.1.reading),
        [channels.0.unread, channels.1.unread].compactMap { $0 }
      )
    }
    (self.output, self.errors) = (LineLog(reading.0), LineLog(reading.1))
    self.process = process
    ended = Task {
      defer { for descriptor in unread { close(descriptor) } }
      return await Self.end(of: process)
    }
  }

  private static func spawn(
    _ path: String, _ words: [String], _ environment: [String: String], _ output: Channel, _ errors: Channel
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    for (channel, number) in [(output, Int32(1)), (errors, 2)] {
      if let writing = channel.writing {
        posix_spawn_file_actions_adddup2(&actions, writing, number)
      } else {
        posix_spawn_file_actions_addclose(&actions, number)
      }
    }
    var arguments = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let whole = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var settings = whole.map { strdup("\($0)=\($1)") } + [nil]
    defer { for setting in settings { free(setting) } }
    var process = pid_t()
    let status = posix_spawn(&process, path, &actions, nil, &arguments, &settings)
    for case let writing? in [output.writing, errors.writing] { close(writing) }
    guard status == 0 else { throw Failure(call: path, number: status) }
    return process
  }

  /// A pipe that only the intended child inherits.
  private struct Channel {
    let reading: Int32
    /// Nil if the child's stream is closed.
    let writing: Int32?
    /// The other end of a pipe that is not read, to be closed after the child has ended.
    var unread: Int32?

    init(_ stream: Stream) throws {
      var ends: [Int32] = [0, 0]
      guard pipe(&ends) == 0 else { throw Failure(call: "pipe", number: errno) }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      guard stream != .read else {
        (reading, writing) = (ends[0], ends[1])
        return
      }
      reading = open("/dev/null", O_RDONLY | O_CLOEXEC)
      switch stream {
      case .read, .abandoned: writing = ends[1]
      case .closed: writing = nil
      case .full: writing = open("/dev/full", O_WRONLY | O_CLOEXEC)
      case .stuck:
        (writing, unread) = (ends[1], ends[0])
        Self.fill(ends[1])
        return
      }
      close(ends[0])
      if writing != ends[1] { close(ends[1]) }
    }

    private static func fill(_ pipe: Int32) {
      let (flags, bytes) = (fcntl(pipe, F_GETFL), [UInt8](repeating: 0, count: 4096))
      _ = fcntl(pipe, F_SETFL, flags | O_NONBLOCK)
      while write(pipe, bytes, bytes.count) > 0 {}
      _ = fcntl(pipe, F_SETFL, flags)
    }

    /// Opens a terminal of `columns` columns.
    init(columns: Int) throws {
      // The ioctl calls behind posix_openpt and related functions on Linux, which Foundation lacks.
      let (unlock, openPeer): (UInt, UInt) = (0x4004_5431, 0x5441)
      var isLocked: Int32 = 0
      reading = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
      guard reading >= 0, ioctl(reading, unlock, &isLocked) == 0 else {
        throw Failure(call: "/dev/ptmx", number: errno)
      }
      let writing = ioctl(reading, openPeer, O_RDWR | O_NOCTTY | O_CLOEXEC)
      self.writing = writing
      var size = winsize(ws_row: 24, ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
      guard writing >= 0, ioctl(writing, UInt(TIOCSWINSZ), &size) == 0 else {
        throw Failure(call: "ioctl", number: errno)
      }
    }
  }

  private static func end(of process: pid_t) async -> Int32 {
    await withCheckedContinuation { continuation in
      Thread {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let signal = status & 0x7F
        continuation.resume(returning: signal == 0 ? status >> 8 & 0xFF : -signal)
      }.start()
    }
  }

  /// Sends SIGTERM, as systemd does.
  func terminate() { kill(process, SIGTERM) }

  /// Sends a signal as soon as a text appears; on a busy machine the test itself could be too late.
  func send(_ signal: Int32, at text: String) {
    errors.whenever(text) { [process] in kill(process, signal) }
  }

  /// Kills the process.
  func cut() { kill(process, SIGKILL) }

  /// Waits for the end of the process.
  func outcome() async throws -> Outcome {
    try await withTaskCancellationHandler {
      let code = await ended.value
      return Outcome(code: code, output: try await output.whole(), errors: try await errors.whole())
    } onCancel: { [process] in
      kill(process, SIGKILL)
    }
  }

  /// Runs an executable to its end.
  static func run(_ name: String, _ arguments: String...) async throws -> Outcome {
    try await Command(name, arguments).outcome()
  }
}

/// The lines read from a pipe.
final class LineLog: Sendable {
  private struct State {
    var bytes = Data()
    var isOver = false
    var trigger: (text: Data, action: @Sendable () -> Void)?

    /// Runs the pending action if its text has appeared.
    mutating func pull() {
      guard let found = trigger, bytes.range(of: found.text) != nil else { return }
      trigger = nil
      found.action()
    }
  }

  private let state = Mutex(State())
  private let ticks: AsyncStream<Void>
  private let tick: AsyncStream<Void>.Continuation

  /// Reads to the end and closes the descriptor, on a separate thread.
  init(_ descriptor: Int32) {
    (ticks, tick) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    Thread { [self] in
      var buffer = [UInt8](repeating: 0, count: 1 << 14)
      while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0 && errno == EINTR { continue }
        state.withLock {
          if count > 0 { $0.bytes += buffer[..<count] } else { $0.isOver = true }
          $0.pull()
        }
        tick.yield()
        guard count > 0 else { break }
      }
      close(descriptor)
    }.start()
  }

  /// Runs an action once a text has appeared, on the reading thread.
  func whenever(_ text: String, _ action: @escaping @Sendable () -> Void) {
    state.withLock {
      $0.trigger = (Data(text.utf8), action)
      $0.pull()
    }
  }

  /// Returns the first complete line that contains a text, or the `number`-th one.
  func line(containing text: String, number: Int = 1) async throws -> String {
    while true {
      let (bytes, isOver) = state.withLock { ($0.bytes, $0.isOver) }
      // A terminal's lines end in two characters, which are one Character in Swift.
      let whole = String(decoding: bytes, as: UTF8.self).split(
        omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      let lines = whole.dropLast().filter { $0.contains(text) }
      if lines.count >= number { return String(lines[number - 1]) }
      guard !isOver else { throw Ended(wanted: text, got: String(decoding: bytes, as: UTF8.self)) }
      try await wait()
    }
  }

  /// Whether the other end is closed because its process has ended.
  var isClosed: Bool { state.withLock { $0.isOver } }

  struct Ended: Error {
    let wanted: String
    let got: String
  }

  /// Returns everything, once the other end is closed.
  func whole() async throws -> String {
    while !state.withLock({ $0.isOver }) { try await wait() }
    return String(decoding: state.withLock { $0.bytes }, as: UTF8.self)
  }

  private func wait() async throws {
    var waiting = ticks.makeAsyncIterator()
    guard await waiting.next() != nil else { throw CancellationError() }
  }
}

extension URL {
  /// Writes a plan that trains in milliseconds to this folder. Returns its path.
  func plan(
    _ name: String = "plan.yaml", rounds: Int = 1, clients: Int = 2, extra: String = ""
  ) throws -> String {
    let file = appendingPathComponent(name)
    let text = """
      name: tiny
      encoder: {family: vit, image: 16, patch: 4, width: 24, depth: 2, heads: 3}
      heads: {hidden: 32, output: 16}
      method: {roundsPerStage: \(rounds)}
      local: {epochs: 1, batch: 16}
      round: {cohort: \(clients), quorum: \(clients)}
      \(extra)

      """
    try Data(text.utf8).write(to: file)
    return file.path
  }

  /// Writes a plan whose contrastive losses are not finite: the inverse of its temperature overflows a float32.
  func divergingPlan() throws -> String {
    let plan = try plan("diverging.yaml")
    let text = try String(contentsOfFile: plan, encoding: .utf8)
      .replacing("roundsPerStage: 1", with: "roundsPerStage: 1, temperature: 1e-40, alignment: 0")
      .replacing("quorum: 2", with: "quorum: 2, attempts: 2")
    try Data(text.utf8).write(to: URL(fileURLWithPath: plan))
    return plan
  }

  func path(_ name: String) -> String { appendingPathComponent(name).path }
}
