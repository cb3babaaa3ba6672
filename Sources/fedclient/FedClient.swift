import ArgumentParser

@main
struct FedClient: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "fedclient")
}
