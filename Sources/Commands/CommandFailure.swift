import ArgumentParser
import Foundation

/// How a command ends when it cannot do its work: one line and a number (README, exit codes).
package struct CommandFailure: Error {
  package enum Code: Int32, CaseIterable, Sendable {
    /// The work was done and failed: a golden case, for example.
    case failed = 1
    /// The plan is refused.
    case plan = 2
    /// Images or an encoder's file cannot be used.
    case data = 3
    /// The address cannot be listened on.
    case address = 4
    /// The server cannot be reached.
    case unreachable = 5
    /// The server turned the client away, or what it said makes no sense.
    case turnedAway = 6
    /// The database or another file cannot be used.
    case store = 7
    /// The job was given up.
    case gaveUp = 8
    /// This build needs instructions that the processor lacks.
    case processor = 9
    /// A stage does not fit into the memory that this client may have.
    case memory = 10
    /// Arguments that make no sense together; the same as argument-parser's own.
    case usage = 64
  }

  package let code: Code
  package let message: String

  package init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }
}

/// Makes the process ready and runs a command's body; a failure becomes one line on standard error and an exit code.
package func reporting(_ command: String, _ body: () async throws -> Void) async throws {
  do {
    Allocator.returnLargeBlocks()
    let missing = Processor.missing
    guard missing.isEmpty else {
      throw CommandFailure(
        .processor,
        "this build needs a processor with \(missing.joined(separator: ", ")); build with STRATA_BASELINE=1 make build"
      )
    }
    try await body()
  } catch let failure as CommandFailure {
    FileHandle.standardError.write(Data("\(command): \(failure.message)\n".utf8))
    throw ExitCode(failure.code.rawValue)
  }
}
