import ArgumentParser
import Federation

@main
struct FedClient: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedclient",
    abstract: "Trains for a federation on this machine's images, which never leave it.",
    version: Software.version,
    subcommands: [RunCommand.self, EnrolCommand.self, CheckCommand.self])
}
