import ArgumentParser
import Commands
import Engine
import Federation
import Foundation
import Simulation

struct AccountCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "account",
    abstract: "Computes a plan's traffic, operations and memory, without training.",
    discussion: """
      Prints the figures of the plan, of the other strategies and, for a vision transformer, of other numbers of \
      layers a stage, by the conventions of LW-FedSSL's tables and by those of this software (docs/accounting.md); for \
      a layer-wise classification also what its exits and its training cost. For example:

        fedsim account plan.yaml --images 2000
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(help: "Images of a client. (default: one batch)")
  var images: Int?

  @Option(
    help: ArgumentHelp(
      "Shares of the images that a cascade leaves for stage 2, 3 …, such as 0.8,0.5. (default: all)",
      valueName: "shares"))
  var remaining: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard images.map((2...1_000_000_000).contains) ?? true else {
      throw ValidationError("--images is 2 to 1000000000")
    }
    _ = try shares()
  }

  /// Returns the shares of `--remaining`.
  private func shares() throws -> [Double] {
    guard let remaining else { return [] }
    let shares = remaining.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) ?? -1 }
    guard shares.allSatisfy((0...1).contains), zip(shares, shares.dropFirst()).allSatisfy(>=) else {
      throw ValidationError("--remaining is numbers from 0 to 1 that do not grow, separated by commas")
    }
    return shares
  }

  func run() async throws {
    try await reporting("fedsim") {
      let (plan, shares) = (try readTrainingPlan(plan), try shares())
      guard shares.isEmpty || plan.method.cascade != nil else {
        throw CommandFailure(.plan, "--remaining is for a plan with method.cascade")
      }
      guard shares.count < max(plan.stages, 2) else {
        throw CommandFailure(
          .plan, "--remaining has \(shares.count) shares for the \(plan.stages - 1) stages after the first")
      }
      let account = Account(plan, images: images, remaining: shares)
      guard json else { return try StandardOutput.write(account.table, terminator: "") }
      try StandardOutput.write(Commands.json(account))
    }
  }
}

struct TrafficCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "traffic",
    abstract: "Computes the traffic of a plan's client under each codec, without training.",
    discussion: """
      Compares it with plain end-to-end training over the same rounds, with the same probability that a client misses \
      a round (docs/traffic.md). Excludes compression, and messages without weights, a few KB a round. For example:

        fedsim traffic plan.yaml
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() async throws {
    try await reporting("fedsim") {
      let account = TrafficAccount(try readTrainingPlan(plan))
      if json { return try StandardOutput.write(Commands.json(account)) }
      try StandardOutput.write(
        "missed  strategy     updates   layers        up, MB  down, MB  of end-to-end   times less")
      for line in account.lines {
        let words = [
          (String(format: "%.0f %%", 100 * line.dropout), 8), (line.strategy.rawValue, 13),
          (line.codec.rawValue, 10), (line.layers.rawValue, 10),
        ]
        try StandardOutput.write(
          words.map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined()
            + String(
              format: "%10.1f%10.1f%15.4f%13.2f", Double(line.bytesUp) / 1e6, Double(line.bytesDown) / 1e6,
              line.share, 1 / line.share))
      }
    }
  }
}

struct MemoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memory",
    abstract: "Measures the resident memory of a client that trains a stage of a plan, as JSON.",
    usage: "fedsim memory [<options>] <plan> --stage <stage>",
    discussion: """
      Runs one optimiser step on noise, as a client's process does; peakMemoryBytes is the peak of resident memory \
      that the kernel reports. For example:

        fedsim memory plan.yaml --stage 1
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(help: "The stage, counted from 1.")
  var stage: Int

  @Option(help: "Images of the client, if fewer than a batch. (default: one batch)")
  var images: Int?

  @Option(help: "Threads of the training, 1 to 256.")
  var threads: Int = 1

  func validate() throws {
    guard images.map({ $0 >= 2 }) ?? true else { throw ValidationError("--images is 2 or more") }
    guard (1...256).contains(threads) else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let plan = try readTrainingPlan(plan)
      guard (1...plan.stages).contains(stage) else {
        throw CommandFailure(.plan, "--stage is \(stage); the plan has stages 1 to \(plan.stages)")
      }
      let measurement = StageMemory(
        plan, stage: stage, images: images ?? plan.local.batch, threads: threads)
      do {
        let result = try await TrainingThread.run("training") { try measurement.measure() }
        try StandardOutput.write(json(result))
      } catch let error as MemoryPlan.TooSmall {
        throw CommandFailure(.memory, "stage \(stage): \(error)")
      }
    }
  }
}

/// Reads a plan whose clients train by gradient steps, for a command that compares strategies or measures a trainer.
/// Throws ``CommandFailure``.
func readTrainingPlan(_ path: String) throws(CommandFailure) -> Plan {
  let plan = try readPlan(path)
  guard !plan.isRegression else {
    throw CommandFailure(
      .plan,
      "\(path): method.objective: is regression, which has exact steps instead of strategies; fedsim sweeps calculates its traffic"
    )
  }
  return plan
}
