import Engine
import Foundation
import Synchronization

/// Runs this program again, in processes of their own and one at a time: what such a process had resident is
/// its alone, and its failure too.
package final class OwnProcess: Sendable {
  private let executable: URL
  private let state = Mutex((process: pid_t(0), isStopped: false))

  package struct Outcome: Sendable {
    /// The exit code; a signal that ended it counts as a negative one.
    package let code: Int32
    package let output: Data
    /// What it said on standard error about its end: a command's own message, or its last words.
    let message: String

    /// Why it failed, in one line.
    var reason: String { code < 0 ? "it was ended by signal \(-code)" : message }
  }

  package init(_ executable: URL) { self.executable = executable }

  /// Ends the process under way, and lets no other start.
  private func stop() {
    state.withLock {
      $0.isStopped = true
      // The signals that ask a process to stop may be blocked in a child of one that handles them itself.
      if $0.process > 0 { kill($0.process, SIGKILL) }
    }
  }

  /// Runs it to its end; `line` is given what it says on standard error, line by line as it comes. Standard
  /// output is kept if it is wanted, and must then fit into a pipe. Where the task is cancelled the process is ended,
  /// and this throws a `CancellationError`.
  package func run(
    _ arguments: [String], keepingOutput: Bool, line: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> Outcome {
    let outcome = try await withTaskCancellationHandler {
      try await start(arguments, keepingOutput: keepingOutput, line: line)
    } onCancel: {
      stop()
    }
    try Task.checkCancellation()
    // A signal of the terminal goes to every process of the terminal, and may reach the other one first.
    guard !Self.stopped.contains(outcome.code) else { throw CancellationError() }
    return outcome
  }

  /// How a process ends that was stopped with its terminal: by itself, or by the signal.
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

  /// How a message of the command, or of its parser of arguments, begins.
  private static let prefixes = ["fedsim: ", "Error: "]

  /// Hands on line by line what comes through a pipe, to its end; returns the message.
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
  /// The next bytes that come through a pipe, at most 64 KiB; none at its end. Unlike `availableData` it goes on
  /// when a signal interrupts it, such as that of a child's end.
  package func nextBytes() -> Data {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(fileDescriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      return Data(buffer.prefix(max(count, 0)))
    }
  }

  /// All that comes through a pipe, to its end.
  package func allBytes() -> Data {
    var all = Data()
    while case let bytes = nextBytes(), !bytes.isEmpty { all += bytes }
    return all
  }
}
