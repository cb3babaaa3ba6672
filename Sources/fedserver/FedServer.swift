import ArgumentParser

@main
struct FedServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedserver",
    abstract: "Coordinates a federation: grows an encoder layer by layer with the help of its clients.",
    subcommands: [RunCommand.self, EnrolCommand.self, CertificateCommand.self])
}
