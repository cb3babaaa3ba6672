import ArgumentParser
import Certificates
import Commands
import Federation
import Foundation

struct CertificateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "certificate",
    abstract: "Makes, lists and revokes the certificates of a federation.",
    discussion: """
      First the authority, then the server's certificate. Boxes fetch theirs with 'fedserver enroll'; 'certificate
      client' makes one here, for a box that cannot. A running server uses new files without a restart.
      """,
    subcommands: [
      AuthorityCommand.self, ServerCertificateCommand.self, ClientCertificateCommand.self, RevokeCommand.self,
      CertificateListCommand.self,
    ])
}

struct AuthorityCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "authority", abstract: "Makes the federation's own certificate authority.")

  @OptionGroup var options: CertificateOptions

  @Argument(help: "Its name, such as the federation's.")
  var name: String = "Strata"

  @Option(help: "How long it is valid.")
  var days: Int = Certificate.Role.authority.days

  func validate() throws {
    try checkName(name)
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let certificate = try options.folder.createAuthority(name, days: days)
      print("authority \(name), \(until(certificate)); keep a copy of \(options.folder.path)/authority.key")
    }
  }
}

struct ServerCertificateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server", abstract: "Makes the server's certificate, in place of the one there is.")

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The server's host name.")
  var name: String

  @Option(
    help: ArgumentHelp(
      "Another name or address that clients reach it by; may be given more than once.", valueName: "host"))
  var host: [String] = []

  @Option(help: "How long it is valid.")
  var days: Int = Certificate.Role.server.days

  func validate() throws {
    try checkHosts([name] + host)
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let hosts = withLoopback([name] + host)
      let certificate = try options.folder.createServer(name, hosts: hosts, days: days)
      print("server \(hosts.joined(separator: ", ")), \(until(certificate))")
    }
  }
}

struct ClientCertificateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "client", abstract: "Makes a client's key and certificate here, to be carried to its box.")

  @OptionGroup var options: CertificateOptions

  @Argument(help: "The client's name.")
  var name: String

  @Option(help: ArgumentHelp("Where they go: the folder 'tls' of the client's state.", valueName: "dir"))
  var out: String

  @Option(help: "How long it is valid.")
  var days: Int = Certificate.Role.client.days

  func validate() throws {
    try checkName(name)
    try checkDays(days)
  }

  func run() async throws {
    try await reporting {
      let folder = ClientCertificate(URL(fileURLWithPath: out, isDirectory: true))
      let certificate = try options.folder.createClient(name, days: days, in: folder)
      print("client \(name), \(until(certificate)): \(folder.path)")
    }
  }
}
