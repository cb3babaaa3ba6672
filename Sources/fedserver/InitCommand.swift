import ArgumentParser
import Certificates
import Commands
import Datasets
import Foundation
import Wire

struct InitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Writes all that a first deployment needs into a new folder.",
    usage: "fedserver init [<options>] <dir>",
    discussion: """
      A commented plan, certificates, a one-time code for each device, units and settings for systemd, and a README \
      with the commands to give next, which is printed too. DIR is new or empty; nothing is overwritten. For example:

        fedserver init first --host coordinator.example --client device-1 --client device-2
      """)

  @Argument(help: ArgumentHelp("The folder to write.", valueName: "dir"), completion: .directory)
  var folder: String

  @Option(
    help: ArgumentHelp(
      "A name or address that clients reach the server by; the first is in their settings. May be given more than once. (default: this machine's name)",
      valueName: "name"))
  var host: [String] = []

  @Option(
    help: ArgumentHelp(
      "A device that gets a code and settings of its own. May be given more than once.", valueName: "name"))
  var client: [String] = []

  @Option(
    help: ArgumentHelp(
      "The images on a device, for its settings: KIND:ARGUMENT (docs/data.md).", valueName: "spec"))
  var data: String = "folder:/srv/images"

  func validate() throws {
    try checkHosts(host)
    for name in client { try checkName(name) }
    guard Set(client).count == client.count else { throw ValidationError("a --client is there twice") }
    // It goes into a file that systemd reads, and into command lines.
    guard !data.contains(where: { $0.isNewline || "\"'\\$`".contains($0) }) else {
      throw ValidationError("--data has a quote, a backslash, a $ or a line's end")
    }
    do { _ = try DataSpec(parsing: data) } catch { throw ValidationError("--data: \(error.description)") }
  }

  func run() async throws {
    try await reporting {
      // Keys and codes are nobody else's business.
      umask(0o077)
      let hosts = host.isEmpty ? [ProcessInfo.processInfo.hostName] : host
      let first = FirstDeployment(hosts: hosts, clients: client, data: data)
      try StagedFolder(folder).fill { try first.write(into: $0) }
      try StandardOutput.write(
        "\(folder) is written. It says how to go on in README.md:\n\n\(first.steps)", terminator: "")
    }
  }
}
