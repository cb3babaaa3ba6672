import ArgumentParser
import Commands
import Federation

struct FedSim: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedsim",
    abstract: "Runs a whole federation on one machine, with the real server and real clients.",
    discussion: """
      To try a plan before a deployment: 'fedsim run' runs it on this machine, 'fedsim account' and 'fedsim traffic' \
      calculate its cost, and 'fedsim compare' compares strategies.

      \(codes)
      """,
    version: Software.version,
    subcommands: [
      RunCommand.self, PartitionCommand.self, LintCommand.self, CompareCommand.self, EvaluateCommand.self,
      CheckCommand.self, AccountCommand.self,
      TrafficCommand.self, SearchControllerCommand.self, SweepsCommand.self,
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
