import ArgumentParser
import Commands
import Foundation
import Simulation

struct BenchRoundCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "round",
    abstract: "Times rounds of clients that do not train, at a real server with a real store.",
    usage: "fedsim bench round [<options>]",
    discussion: """
      Every client gets the whole model in every round and gives it back. The server is a process of its own, whose \
      memory is measured. For example:

        fedsim bench round --clients 100 --rounds 3
      """)

  @Option(help: "Clients, 1 to 10000, all of which take part in every round.")
  var clients: Int = 10

  @Option(help: "Bytes of the model, about, 20000 to 1000000000.")
  var bytes: Int = 4_800_000

  @Option(help: "Rounds, 1 to 10000.")
  var rounds: Int = 5

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard (1...10_000).contains(clients) else { throw ValidationError("--clients is 1 to 10000") }
    guard (20_000...1_000_000_000).contains(bytes) else {
      throw ValidationError("--bytes is 20000 to 1000000000")
    }
    guard (1...10_000).contains(rounds) else { throw ValidationError("--rounds is 1 to 10000") }
  }

  func run() async throws {
    try await reporting("fedsim") {
      Descriptors.raiseLimit()
      let benchmark = RoundBenchmark(clients: clients, bytes: bytes, rounds: rounds)
      let result = try await resultUnlessStopped("fedsim") {
        try await benchmark.run { ["bench", "round-server", $0.path, $1.path] }
      }
      if json { return try StandardOutput.write(Commands.json(result)) }
      try StandardOutput.write(
        String(
          format:
            "%d clients, %.2f MB each way: %.3f s a round, %.1f MB a round, server at most %.1f MB resident",
          result.clients, Double(result.modelBytes) / 1e6, result.secondsPerRound,
          Double(result.bytesPerRound) / 1e6, Double(result.serverPeakMemoryBytes) / 1e6))
    }
  }
}

/// The server of `bench round`; it is started by that and by nobody else.
struct BenchRoundServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "round-server", shouldDisplay: false)

  @Argument var plan: String
  @Argument var folder: String

  func run() async throws {
    try await reporting("fedsim") {
      Descriptors.raiseLimit()
      let peak = try await RoundBenchmark.serve(
        try readPlan(plan), in: URL(fileURLWithPath: folder, isDirectory: true)
      ) { StandardError.shared.write("\($0)\n") }
      try StandardOutput.write("\(peak)")
    }
  }
}
