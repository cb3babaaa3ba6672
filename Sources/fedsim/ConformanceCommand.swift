import ArgumentParser
import Commands
import Foundation
import Simulation

struct ConformanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conformance",
    abstract: "Compares layers, losses, augmentations and training steps with golden numbers.",
    discussion: """
      DIR contains manifest.json and a safetensors file for each case. Prints a line for each case with its largest \
      error and its tolerance, then the totals. The exit code is 1 if a case failed or is unknown. For example:

        fedsim conformance Tests/golden
      """)

  @Argument(help: ArgumentHelp("A folder with a manifest.json.", valueName: "dir"), completion: .directory)
  var directory: String

  @Flag(help: "Print JSON.")
  var json = false

  /// The result of a case.
  private struct Row: Encodable {
    let name: String
    let passed: Bool
    /// The largest error; nil if the case could not be run.
    let error: Double?
    let tolerance: Double
    /// The place of the largest error, or why there is none.
    let place: String

    init(_ outcome: Conformance.Outcome) {
      (name, passed, tolerance) = (outcome.name, outcome.passed, outcome.tolerance)
      // JSON cannot represent infinity.
      error = (try? outcome.error.get()).flatMap { $0.isFinite ? $0 : nil }
      if case .failure(let reason) = outcome.error {
        place = reason.description
      } else {
        place = outcome.place
      }
    }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let folder = try folder()
      var rows: [Row] = []
      for golden in folder.cases {
        let outcome = Conformance.run(golden)
        if !json { try StandardOutput.write(outcome.line) }
        rows.append(Row(outcome))
      }
      let failed = rows.count { !$0.passed }
      try StandardOutput.write(json ? Commands.json(rows) : "\(rows.count - failed) passed, \(failed) failed")
      if failed > 0 { throw ExitCode(CommandFailure.Code.failed.rawValue) }
    }
  }

  private func folder() throws -> GoldenFolder {
    do {
      return try GoldenFolder(URL(fileURLWithPath: directory, isDirectory: true))
    } catch let error as ConformanceError {
      throw CommandFailure(.data, error.description)
    }
  }
}
