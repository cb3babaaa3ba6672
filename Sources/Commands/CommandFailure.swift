import ArgumentParser
import Support

/// The error of a command that cannot do its work: one line of text and an exit code (README).
package struct CommandFailure: Error {
  package enum Code: Int32, CaseIterable, Sendable {
    /// The work ran and failed.
    case failed = 1
    case plan = 2
    case data = 3
    case address = 4
    case unreachable = 5
    case turnedAway = 6
    case store = 7
    case gaveUp = 8
    case processor = 9
    case memory = 10
    case diverged = 11
    /// The code of the argument parser.
    case usage = 64
    /// EX_OSERR of sysexits.
    case system = 71
    /// The codes that a shell reports for a process ended by a signal.
    case hungUp = 129
    case interrupted = 130
    case terminated = 143

    /// The explanation in `--help`, the manual and the README.
    package var meaning: String {
      switch self {
      case .failed: "a check or a run failed: a golden case, or a seed's federation"
      case .plan: "the plan is invalid; the message has a line for each problem"
      case .data: "images or an encoder file are missing, truncated or broken"
      case .address: "the server cannot listen on the address"
      case .unreachable: "the server cannot be reached"
      case .turnedAway: "the server rejected the client, or sent an invalid message"
      case .store: "the database, standard output, or another file or folder, cannot be used"
      case .gaveUp: "the job was given up: all attempts at a round got too few updates"
      case .processor: "this build needs AVX2 and FMA: build with STRATA_BASELINE=1 make build"
      case .memory: "a stage does not fit into the client's memory limit"
      case .diverged: "the training diverged: its numbers are not finite, or too large"
      case .usage: "the command line is invalid"
      case .system: "the system cannot wait for sockets: start the process again"
      case .hungUp: "stopped by SIGHUP (the terminal closed) before there was a result"
      case .interrupted: "stopped by SIGINT (Ctrl-C) before there was a result"
      case .terminated: "stopped by SIGTERM before there was a result"
      }
    }
  }

  package let code: Code
  package let message: String

  package init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }
}

/// Prepares the process and runs a command's body. Reports a failure as one line on standard error and an exit code.
package func reporting(_ command: String, _ body: () async throws -> Void) async throws {
  do {
    Allocator.returnLargeBlocks()
    Cryptography.keepDuringExit()
    let missing = Processor.missing
    guard missing.isEmpty else {
      throw CommandFailure(
        .processor,
        "this build needs a processor with \(missing.joined(separator: ", ")); build with STRATA_BASELINE=1 make build"
      )
    }
    try await body()
  } catch let failure as CommandFailure {
    StandardError.shared.write("\(command): \(ForeignText.lines(failure.message))\n")
    throw ExitCode(failure.code.rawValue)
  }
}
