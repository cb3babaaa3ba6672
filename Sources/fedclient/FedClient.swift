import ArgumentParser

@main
struct FedClient: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedclient",
    abstract: "Trains for a federation on this machine's images, which never leave it.",
    subcommands: [RunCommand.self, EnrolCommand.self])
}
