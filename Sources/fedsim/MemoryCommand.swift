import ArgumentParser
import Commands
import Engine
import Federation
import Foundation
import Simulation

struct MemoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memory",
    abstract: "Measures what a client has resident when it trains a stage of a plan, and prints it as JSON.",
    usage: "fedsim memory [<options>] <plan> --stage <stage>",
    discussion: """
      One optimiser step on noise, as a client's process would do it; peakMemoryBytes is what the kernel says was \
      resident at most. For example:

        fedsim memory plan.yaml --stage 1
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Option(help: "The stage, counted from 1.")
  var stage: Int

  @Option(help: "Images of the client, where they are less than a batch. (default: a batch)")
  var images: Int?

  @Option(help: "Threads of the training, 1 to 256.")
  var threads: Int = 1

  func validate() throws {
    guard images.map({ $0 >= 2 }) ?? true else { throw ValidationError("--images is 2 or more") }
    guard (1...256).contains(threads) else { throw ValidationError("--threads is 1 to 256") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      let plan = try readPlan(plan)
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
