import ArgumentParser
import Commands
import Foundation
import Simulation

struct AccountCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "account",
    abstract: "Computes a plan's traffic, operations and memory, without training.",
    discussion: """
      Beside the plan's own figures stand those of the other strategies and, for a vision transformer, of other \
      numbers of layers a stage; by the conventions of LW-FedSSL's tables and as this software has them \
      (docs/accounting.md). For example:

        fedsim account plan.yaml --images 2000
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(help: "How many images a client has. (default: one batch)")
  var images: Int?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard images.map((2...1_000_000_000).contains) ?? true else {
      throw ValidationError("--images is 2 to 1000000000")
    }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let account = Account(try readPlan(plan), images: images)
      guard json else { return try StandardOutput.write(account.table, terminator: "") }
      try StandardOutput.write(Commands.json(account))
    }
  }
}
