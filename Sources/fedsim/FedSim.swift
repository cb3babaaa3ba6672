import ArgumentParser
import Commands
import Federation

struct FedSim: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedsim",
    abstract: "Runs a whole federation on one machine, with the real server and real clients.",
    discussion: """
      To try a plan before a federation has it: 'fedsim run' trains it here, 'fedsim account' and 'fedsim traffic' \
      calculate what it takes, 'fedsim compare' holds strategies against each other.

      \(codes)
      """,
    version: Software.version,
    subcommands: [
      RunCommand.self, CompareCommand.self, EvaluateCommand.self, CheckCommand.self, AccountCommand.self,
      TrafficCommand.self,
      ConformanceCommand.self, MemoryCommand.self, BenchCommand.self,
    ])

  /// The exit codes of its commands.
  private static let codes = CommandHelp.exitCodes(
    .failed, .plan, .data, .address, .turnedAway,
    .store, .gaveUp, .processor, .memory, .diverged, .usage, .system, .hungUp, .interrupted, .terminated)
}

@main
enum Main {
  static func main() { FedSim.start() }
}
