import ArgumentParser
import Commands
import Federation

struct FedServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedserver",
    abstract: "Coordinates a federation: grows an encoder layer by layer with the help of its clients.",
    discussion: """
      A first deployment begins with 'fedserver init first --host NAME --client DEVICE', which says how to go on.

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
