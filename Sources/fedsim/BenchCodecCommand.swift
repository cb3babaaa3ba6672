import ArgumentParser
import Commands
import Engine
import Foundation
import Simulation

struct BenchCodecCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "codec",
    abstract: "Times the coding of a plan's updates, as bytes of float32 a second of one core.",
    discussion: """
      "numbers" makes the numbers of the difference, "coded" compresses them as well; then the same on the way back. \
      For example:

        fedsim bench codec plan.yaml
      """)

  @Argument(help: "The plan, of whose first stage an update is coded.", completion: .plan)
  var plan: String

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    try await reporting("fedsim") {
      let plan = try readPlan(plan)
      let rows = try await resultUnlessStopped("fedsim") {
        try await TrainingThread.abandonable("benchmark") { try CodecBenchmark(plan).run() }
      }
      if json { return try StandardOutput.write(Commands.json(rows)) }
      try StandardOutput.write("codec      of float32   numbers     coded   decoded  of which numbers, MB/s")
      for row in rows {
        try StandardOutput.write(
          row.codec.padding(toLength: 10, withPad: " ", startingAt: 0)
            + String(
              format: "%9.1f %% %9.0f %9.0f %9.0f %9.0f", 100 * Double(row.codedBytes) / Double(row.bytes),
              row.numbersBytesPerSecond / 1e6, row.encodeBytesPerSecond / 1e6, row.decodeBytesPerSecond / 1e6,
              row.decodeNumbersBytesPerSecond / 1e6))
      }
    }
  }
}
