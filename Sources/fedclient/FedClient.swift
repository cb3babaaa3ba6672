import ArgumentParser
import Commands
import Federation

struct FedClient: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fedclient",
    abstract: "Trains for a federation on images that stay on this machine, and uses the trained model.",
    discussion: """
      On a new device, check the images ('fedclient check'), fetch a certificate ('fedclient enroll'), and join the \
      server ('fedclient run'). A trained model classifies images ('fedclient classify') or represents them by numbers \
      ('fedclient embed') on the device.

      \(codes)
      """,
    version: Software.version,
    subcommands: [
      RunCommand.self, EnrolCommand.self, CheckCommand.self, ClassifyCommand.self, EmbedCommand.self,
    ])

  /// The exit codes of its commands.
  private static let codes = CommandHelp.exitCodes(
    .plan, .data, .unreachable, .turnedAway,
    .store, .processor, .memory, .usage, .system, .hungUp, .interrupted, .terminated)
}

@main
enum Main {
  static func main() {
    // Runs on the first thread, before any other exists.
    Priority.keepInherited()
    FedClient.start()
  }
}
