import ArgumentParser
import Commands
import Foundation
import Simulation

struct ConformanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conformance",
    abstract: "Holds every layer, loss, augmentation and training step against golden numbers.",
    discussion: """
      DIR holds manifest.json and one safetensors file a case. A line a case names its largest error and its
      tolerance; the last line counts. The exit code is 1 if any case failed or is not known.
      """)

  @Argument(help: "A folder with a manifest.json.")
  var directory: String

  func run() async throws {
    try await reporting("fedsim") {
      let folder = try folder()
      var (passed, failed) = (0, 0)
      for golden in folder.cases {
        let outcome = Conformance.run(golden)
        print(outcome.line)
        if outcome.passed { passed += 1 } else { failed += 1 }
      }
      print("\(passed) passed, \(failed) failed")
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
