import ArgumentParser
import Federation

@main
struct FedSim: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedsim",
    abstract: "Runs a whole federation on one machine, with the real server and real clients.",
    version: Software.version,
    subcommands: [
      RunCommand.self, CompareCommand.self, EvaluateCommand.self, CheckCommand.self, AccountCommand.self,
      TrafficCommand.self,
      ConformanceCommand.self, MemoryCommand.self, BenchCommand.self,
    ])
}
