import ArgumentParser
import Commands
import Foundation
import Simulation

struct TrafficCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "traffic",
    abstract: "Computes what a plan sends to and from a client under each codec, without training.",
    discussion: """
      Beside it stands plain end-to-end training over the same rounds, with the same chance that a round is missed \
      (docs/traffic.md). What zlib saves is left out, and the messages around the weights, a few KB a round. For \
      example:

        fedsim traffic plan.yaml
      """)

  @Argument(help: "The plan, a YAML file (docs/plans.md).", completion: .plan)
  var plan: String

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() async throws {
    try await reporting("fedsim") {
      let account = TrafficAccount(try readPlan(plan))
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
