import ArgumentParser

@main
struct FedServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "fedserver")
}
