import Engine
import Foundation
import Synchronization

/// Runs this program in separate processes, one at a time, to measure the memory of each and to isolate failures.
package final class OwnProcess: Sendable {
  private let executable: URL
  private let state = Mutex((process: pid_t(0), isStopped: false))

  package struct Outcome: Sendable {
    /// The exit code; negative for a signal.
    package let code: Int32
    package let output: Data
    /// The last message on standard error: the command's error, or its last lines.
    let message: String

    /// The reason of a failure, in one line.
    var reason: String { code < 0 ? "it was killed by signal \(-code)" : message }
  }

  package init(_ executable: URL) { self.executable = executable }

  /// Kills the current process and prevents others from starting.
  private func stop() {
    state.withLock {
      $0.isStopped = true
      // The signals that ask a process to stop may be blocked in a child of a process that handles them.
      if $0.process > 0 { kill($0.process, SIGKILL) }
    }
  }

  /// Runs the process to its end; `line` gets each line of its standard error. If `keepingOutput`, standard output is
  /// returned and must fit into a pipe. If the task is cancelled, kills the process and throws a `CancellationError`.
  package func run(
    _ arguments: [String], keepingOutput: Bool, line: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> Outcome {
    let outcome = try await withTaskCancellationHandler {
      try await start(arguments, keepingOutput: keepingOutput, line: line)
    } onCancel: {
      stop()
    }
    try Task.checkCancellation()
    // A signal from the terminal goes to all its processes, and may reach the child first.
    guard !Self.stopped.contains(outcome.code) else { throw CancellationError() }
    return outcome
  }

  /// The exit codes of a process that was stopped with its terminal, by handling the signal or without.
  private static let stopped: Set<Int32> = [129, -SIGHUP, 130, -SIGINT]

  private func start(
    _ arguments: [String], keepingOutput: Bool, line: @escaping @Sendable (String) -> Void
  ) async throws -> Outcome {
    try await TrainingThread.run("process") { [self] in
      let process = Process()
      process.executableURL = executable
      process.arguments = arguments
      process.standardInput = FileHandle.nullDevice
      let (output, errors) = (Pipe(), Pipe())
      process.standardOutput = keepingOutput ? output : FileHandle.nullDevice
      process.standardError = errors
      try state.withLock {
        guard !$0.isStopped else { throw CancellationError() }
        try process.run()
        $0.process = process.processIdentifier
      }
      let message = Self.message(of: errors.fileHandleForReading, line)
      let data = keepingOutput ? output.fileHandleForReading.allBytes() : Data()
      process.waitUntilExit()
      state.withLock { $0.process = 0 }
      let status = process.terminationStatus
      return Outcome(
        code: process.terminationReason == .exit ? status : -status, output: data, message: message)
    }
  }

  /// The prefixes of a message from the command or its argument parser.
  private static let prefixes = ["fedsim: ", "Error: "]

  /// Passes on each line from a pipe until its end. Returns the message.
  private static func message(of pipe: FileHandle, _ line: (String) -> Void) -> String {
    var rest = Data()
    var (last, message) = ("", "")
    func take(_ bytes: Data) {
      let text = String(decoding: bytes, as: UTF8.self)
      guard !text.isEmpty else { return }
      last = text
      if let prefix = prefixes.first(where: { text.hasPrefix($0) }) {
        message = String(text.dropFirst(prefix.count))
      }
      line(text)
    }
    while case let bytes = pipe.nextBytes(), !bytes.isEmpty {
      rest += bytes
      while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        take(rest[..<end])
        rest = Data(rest[(end + 1)...])
      }
    }
    take(rest)
    return message.isEmpty ? last : message
  }
}

extension FileHandle {
  /// Returns the next bytes from a pipe, at most 64 KiB; empty at its end. Unlike `availableData` it continues when a
  /// signal interrupts it, such as that of a child's end.
  package func nextBytes() -> Data {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(fileDescriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      return Data(buffer.prefix(max(count, 0)))
    }
  }

  /// Returns all bytes from a pipe until its end.
  package func allBytes() -> Data {
    var all = Data()
    while case let bytes = nextBytes(), !bytes.isEmpty { all += bytes }
    return all
  }
}
