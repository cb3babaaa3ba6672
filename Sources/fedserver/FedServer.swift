import ArgumentParser
import Commands
import Federation

struct FedServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedserver",
    abstract: "Coordinates a federation whose clients train an encoder layer by layer.",
    discussion: """
      To set up a federation, run 'fedserver init first --host NAME --client DEVICE'; it prints the next commands.

      \(CommandHelp.exitCodes(.plan, .data, .address, .store, .gaveUp, .processor, .diverged, .usage, .system))
      """,
    version: Software.version,
    subcommands: [
      InitCommand.self, RunCommand.self, StatusCommand.self, RoundsCommand.self, ClientsCommand.self,
      ExportCommand.self, ReportCommand.self, EnrolCommand.self, CertificateCommand.self,
    ])
}

@main
enum Main {
  static func main() { FedServer.start() }
}
